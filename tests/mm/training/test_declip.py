"""DeCLIP's training in mm: regions of images, optimizer groups, a run of two steps."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image

from ovseg.errors import ConfigError, DatasetError, InputError
from ovseg.mm.data.image_folder import ImageFolderDataset
from ovseg.mm.training.declip import PackRegions, RegionTransform

SIZES = {"size": 32, "vfm_size": 28, "crop_size": 16}
PIPELINE = [
    {"type": "LoadImage"},
    {"type": "RegionTransform", **SIZES},
    {"type": "PackRegions"},
]


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmseg")


@pytest.fixture
def folder(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 64, 3), np.uint8)
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    return tmp_path / "images"


def proposals(folder, boxes):
    """A file with boxes of a.png."""
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 64, "height": 40}],
        "annotations": [{"image_id": 7, "bbox": box} for box in boxes],
    }
    path = folder.parent / "boxes.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_an_image_comes_with_a_grid_of_regions(folder):
    item = ImageFolderDataset(str(folder), pipeline=PIPELINE)[0]
    sample = item["data_samples"]
    assert item["inputs"].shape == (3, 32, 32)
    # 64 x 40 pixels become 32 x 20; what is below stays black.
    assert bool(item["inputs"][:, 20:].eq(0).all())
    assert bool(item["inputs"][:, :20].ne(0).any())
    assert sample.vfm_image.shape == (3, 28, 28)
    assert 1 <= len(sample.boxes) <= 20
    assert sample.crops.shape == (len(sample.boxes), 3, 16, 16)
    assert float(sample.boxes[:, 2].max()) <= 1
    assert float(sample.boxes[:, 3].max()) <= 40 / 64 + 1e-6
    assert sample.img_path.endswith("a.png")


def test_boxes_of_a_file_take_the_place_of_the_grid(folder):
    boxes = proposals(folder, [[-8, 8, 40, 20], [0, 0, 2, 2]])
    data = ImageFolderDataset(str(folder), pipeline=PIPELINE, boxes=boxes)
    assert len(data) == 1
    sample = data[0]["data_samples"]
    # What sticks out is cut off; what is smaller than 8 x 8 pixels is left out.
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.0, 8.0, 32.0, 28.0]]) / 64)


def test_without_a_fitting_box_a_corner_is_the_region(folder):
    boxes = proposals(folder, [[0, 0, 2, 2]])
    sample = ImageFolderDataset(str(folder), pipeline=PIPELINE, boxes=boxes)[0]["data_samples"]
    torch.testing.assert_close(sample.boxes, torch.tensor([[0.0, 0.0, 16.0, 10.0]]) / 64)


@pytest.mark.parametrize("box", [[64, 0, 8, 8], [0, 50, 8, 8], [float("nan"), 0, 8, 8]])
def test_a_box_outside_of_its_image_is_refused(folder, box):
    with pytest.raises(DatasetError, match="lies outside of a.png, which has 64 x 40 pixels"):
        ImageFolderDataset(str(folder), pipeline=PIPELINE, boxes=proposals(folder, [box]))


def test_files_of_boxes_that_do_not_fit_are_refused(folder):
    path = folder.parent / "boxes.json"
    for text, message in (("{}", "not a file of boxes"), ("[", "not a file of boxes")):
        path.write_text(text)
        with pytest.raises(DatasetError, match=message):
            ImageFolderDataset(str(folder), boxes=str(path))
    with pytest.raises(DatasetError, match="No such file"):
        ImageFolderDataset(str(folder), boxes="nowhere.json")
    boxes = proposals(folder, [])
    (folder / "a.png").rename(folder / "c.png")
    with pytest.raises(DatasetError, match="names no image of the folder"):
        ImageFolderDataset(str(folder), boxes=boxes)


def test_a_tiny_image_gives_way_and_is_counted(folder):
    Image.new("RGB", (64, 9)).save(folder / "a.png")
    sample = ImageFolderDataset(str(folder), pipeline=PIPELINE)[0]["data_samples"]
    assert sample.img_path.endswith("b.png")
    assert [path[-5:] for path in sample.skipped] == ["a.png"]
    with pytest.raises(InputError, match="9 x 64 pixels is too small"):
        RegionTransform(**SIZES).transform({"img": np.zeros((9, 64, 3), np.uint8)})


def test_numbers_below_one_are_refused():
    with pytest.raises(ConfigError, match="each 1 or more"):
        RegionTransform(max_boxes=0)
    assert "max_boxes=3" in repr(RegionTransform(max_boxes=3))
    assert repr(PackRegions()) == "PackRegions()"
