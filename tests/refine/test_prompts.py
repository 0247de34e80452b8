import numpy as np
import pytest
import torch

from ovseg.refine.prompts import (
    find_prompts,
    half_labels,
    half_maps,
    half_size,
    mask_prompts,
    nearest,
)


def drawn(text):
    """Labels from rows of digits."""
    return np.array([[int(digit) for digit in row] for row in text.split()])


def find(labels, maps=None, floor=0.0, minimal_area=1):
    classes = np.unique(labels).tolist()
    if maps is None:
        maps = np.stack([(labels == c).astype(np.float32) for c in classes])
    return find_prompts(labels, classes, maps, floor, minimal_area)


def test_regions_touch_at_corners_too():
    found = find(drawn("1100 0010 0001 1000"))
    assert found.classes.tolist() == [0, 1, 1]
    assert found.boxes[1:].tolist() == [[0, 0, 3, 2], [0, 3, 0, 3]]
    assert found.regions[2].tolist() == [1, 1, 1, 2]


def test_small_regions_give_no_prompt():
    found = find(drawn("1100 1101 0000"), minimal_area=2)
    assert found.classes.tolist() == [0, 1]
    assert found.regions[1, 3] == 0


def test_a_point_lies_where_its_class_is_most_probable_in_the_region():
    labels = drawn("1111 1111 0000")
    maps = np.full((2, 3, 4), 0.5, np.float32)
    maps[1, 1, 2] = maps[1, 1, 3] = 0.8
    maps[1, 2, 0] = 0.9
    assert find(labels, maps).points.tolist() == [[0, 2], [2, 1]]


def test_a_class_that_is_nowhere_probable_gives_no_prompt():
    maps = np.stack([np.full((2, 2), 0.7), np.full((2, 2), 0.3)]).astype(np.float32)
    assert find(drawn("00 11"), maps, floor=0.5).classes.tolist() == [0]
    assert len(find(drawn("00 11"), maps, floor=0.8)) == 0


def test_no_region_gives_empty_prompts():
    found = find(drawn("00 00"), minimal_area=5)
    assert len(found) == 0
    assert [part.shape for part in found.to_input(64)] == [(0, 4), (0, 2)]
    assert not found.union(np.zeros(0, bool)).any()


def test_unsure_pixels_belong_to_no_region():
    labels = np.arange(16).reshape(4, 4)
    confidence = np.array([[0.9, 0.1], [0.2, 0.9]])
    assert half_labels(labels, confidence, 0.2).tolist() == [[0, -1], [8, 10]]
    assert half_labels(labels, confidence, 0.0).tolist() == [[0, 2], [8, 10]]


@pytest.mark.parametrize("size", [(7, 9), (1, 5), (5, 1), (1, 1), (64, 31)])
def test_halving_takes_the_pixels_that_torch_takes(size):
    values = torch.rand(size)
    expected = torch.nn.functional.interpolate(values[None, None], half_size(size), mode="nearest")
    assert np.array_equal(nearest(values.numpy(), half_size(size)), expected[0, 0].numpy())
    assert half_maps(values[None])[0].shape == half_size(size)


def test_prompts_are_scaled_to_the_long_side():
    found = find(drawn("0000 0110"))
    boxes, points = found.to_input(64)
    assert boxes[1].tolist() == [16, 16, 32, 16]
    assert points[1].tolist() == [16, 16]


def test_union_of_regions():
    found = find(drawn("0110 0001"))
    assert found.union(np.array([False, True, False])).tolist() == [
        [False, True, True, False],
        [False, False, False, True],
    ]


def test_mask_prompts_follow_the_image_and_are_padded():
    maps = torch.full((2, 8, 16), 0.6)
    maps[1] = 0.1
    found = mask_prompts(maps, (17, 33), 32, factor=2.0, floor=0.1)
    assert found.shape == (2, 32, 32)
    assert torch.allclose(found[0, :16], torch.tensor(1.2))
    assert not found[0, 16:].any()
    assert not found[1].any()
