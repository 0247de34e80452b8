"""Stored regions, and tables of pairs that are whole or say what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ovseg.errors import DatasetError, InputError
from ovseg.training.mask_adaptation import FILL, kept_pixels
from ovseg.training.region_pairs import cut_stored, read_pairs, worth_keeping, write_pairs


def image_and_masks():
    image = np.random.default_rng(0).integers(130, 255, (60, 80, 3), dtype=np.uint8)
    masks = np.zeros((3, 60, 80), bool)
    masks[0, 10:50, 10:70] = True
    masks[0, 20:30, 20:30] = False
    masks[1, :, 40:] = True
    masks[2, 5:20, 5:20] = True
    return image, masks


def test_small_masks_are_not_kept():
    assert worth_keeping(image_and_masks()[1]).tolist() == [True, True, False]


def test_stored_regions_are_blank_outside_of_their_masks():
    image, masks = image_and_masks()
    whole, half = cut_stored(image, masks[:2], ["a", "b"], side=32)
    assert half.mask.all()
    assert half.title == "b"
    assert whole.pixels.shape == (32, 32, 3)
    assert not whole.mask.all()
    deep = np.zeros((32, 32), bool)
    deep[11:14, 8:9] = True
    assert (whole.pixels[deep] == FILL).all()
    assert not whole.mask[deep].any()
    assert kept_pixels(whole.pixels)[whole.mask].all()


def test_masks_of_another_size_are_refused():
    image, masks = image_and_masks()
    with pytest.raises(InputError, match="60 x 80"):
        cut_stored(image[:, :-1], masks, "abc")


def test_written_pairs_come_back(tmp_path):
    image, masks = image_and_masks()
    regions = cut_stored(image, masks[:2], ["a red\tcar", "b"], side=32)
    pairs = read_pairs(write_pairs(tmp_path, regions))
    assert [pair.title for pair in pairs] == ["a red\tcar", "b"]
    for region, pair in zip(regions, pairs, strict=True):
        assert np.array_equal(np.array(Image.open(pair.filepath)), region.pixels)
        assert np.array_equal(np.array(Image.open(pair.mask)) > 0, region.mask)


def test_no_regions_leave_no_table(tmp_path):
    with pytest.raises(DatasetError, match="no regions"):
        write_pairs(tmp_path, [])
    assert not list(tmp_path.iterdir())


def test_published_tables_have_commas_and_no_masks(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "pairs.csv").write_text('filepath,title\na.png,"cat, dog"\n')
    (pair,) = read_pairs(tmp_path / "pairs.csv")
    assert pair.title == "cat, dog"
    assert pair.mask is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("", "no column filepath and title"),
        ("filepath\ttitle\n", "without pairs"),
        ("filepath,title\na.png,cat\n", "separated by tabs"),
        ("filepath\ttitle\na.png\t \n", "line 2: a pair without words"),
        ("filepath\ttitle\n\tcat\n", "without an image"),
        ("filepath\ttitle\na.png\tcat\nno.png\tdog\n", "1 files are not there: .*no.png"),
        ("filepath\ttitle\tmask\na.png\tcat\tno.png\n", "1 files are not there: .*no.png"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, text, message):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    if text is not None:
        (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_pairs(tmp_path / "pairs.tsv")
