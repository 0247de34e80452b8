"""A folder of images as a training set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ovseg.errors import ConfigError, DatasetError
from ovseg.mm.data.augment import ImageCrop
from ovseg.mm.data.image_folder import ImageFolderDataset

PIPELINE = [{"type": "LoadImage"}, {"type": "PackSegInputs"}]


@pytest.fixture
def folder(tmp_path):
    for name, color in (("n01/a.JPEG", "red"), ("n02/b.JPEG", "lime"), ("c.png", "blue")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6), color).save(tmp_path / name)
    return tmp_path


def test_images_come_from_all_folders_as_bgr(folder):
    data = ImageFolderDataset(str(folder), pipeline=PIPELINE)
    assert len(data) == 3
    first = data[0]
    assert first["data_samples"].img_path.endswith("c.png")
    assert first["inputs"].shape == (3, 6, 8)
    assert first["inputs"][:, 0, 0].tolist() == [255, 0, 0]


def test_some_are_drawn_once_with_replacement(folder):
    def paths(**options):
        data = ImageFolderDataset(str(folder), pipeline=PIPELINE, **options)
        return [data.get_data_info(index)["img_path"] for index in range(len(data))]

    drawn = paths(draw=20)
    assert len(drawn) == 20
    assert len(set(drawn)) == 3
    assert drawn == paths(draw=20)
    assert drawn != paths(draw=20, draw_seed=1)
    with pytest.raises(ConfigError, match="1 or more"):
        paths(draw=0)


def test_an_unreadable_image_gives_way_and_is_noted(folder):
    (folder / "c.png").write_bytes(b"no image")
    item = ImageFolderDataset(str(folder), pipeline=PIPELINE)[0]
    assert item["data_samples"].img_path.endswith("a.JPEG")
    ((path, reason),) = item["data_samples"].skipped.items()
    assert path.endswith("c.png")
    assert "c.png" in reason


def test_a_folder_of_unreadable_images_is_refused(folder):
    for path in folder.rglob("*.*"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="3 images in a row cannot be read"):
        ImageFolderDataset(str(folder), pipeline=PIPELINE)[1]


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        ImageFolderDataset(str(tmp_path / "nowhere"), pipeline=PIPELINE)


def test_the_crop_keeps_fractions_and_follows_torch(folder):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 45, 3), np.uint8)
    crop = ImageCrop(20, brightness=0.5)
    torch.manual_seed(0)
    first = crop({"img": pixels})["img"]
    torch.manual_seed(0)
    again = crop({"img": pixels})["img"]
    assert first.shape == (20, 20, 3)
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert 0 <= first.min() <= first.max() <= 255
    assert (first != first.round()).any()
    plain = ImageCrop(30, flip=1, brightness=0)({"img": pixels[:, :30]})["img"]
    assert np.allclose(plain, pixels[:, 29::-1])


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="flip 2"):
        ImageCrop(flip=2)
