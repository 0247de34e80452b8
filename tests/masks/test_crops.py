import pytest
import torch

from ovseg.errors import ConfigError, InputError
from ovseg.masks.crops import (
    binarize,
    cut_regions,
    distinct_regions,
    expand_boxes,
    keep_flags,
    mask_boxes,
)

BLACK = torch.zeros(3, 1, 1)


def masks_of(*boxes, size=(12, 16)):
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return masks


def test_a_threshold_is_strict():
    prob = torch.tensor([[[0.4, 0.40001]]])
    assert binarize(prob, 0.4).tolist() == [[[False, True]]]


def test_boxes_are_half_open_and_those_of_empty_masks_zero():
    boxes = [[2, 3, 7, 4], [0, 0, 16, 12], [15, 11, 16, 12]]
    assert mask_boxes(masks_of(*boxes, (4, 4, 4, 4))).tolist() == [*boxes, [0, 0, 0, 0]]


def test_corners_are_truncated_then_clamped():
    found = expand_boxes(torch.tensor([[1, 2, 6, 5], [10, 8, 16, 12]]), 1.5, (12, 16))
    assert found.tolist() == [[0, 1, 7, 5], [8, 7, 16, 12]]


def test_what_is_outside_gets_the_fill_before_the_image_is_resized():
    image = torch.ones(3, 12, 16)
    keep = masks_of((0, 0, 4, 4))
    region = cut_regions(image, keep, torch.tensor([[0, 0, 8, 4]]), side=8, fill=BLACK)
    assert region.pixels[0, :, :, 0].allclose(torch.ones(3, 8))
    assert region.pixels[0, :, :, -1].allclose(torch.zeros(3, 8))
    assert region.masks[0].tolist() == [[1.0] * 4 + [0.0] * 4] * 8


def test_matting_mixes_image_and_fill():
    keep = torch.full((1, 12, 16), 0.25)
    region = cut_regions(
        torch.ones(3, 12, 16), keep, torch.tensor([[0, 0, 4, 4]]), side=4, fill=BLACK
    )
    assert region.pixels.allclose(torch.full((1, 3, 4, 4), 0.25))
    assert keep_flags(region.masks, 2).all()


def test_masks_of_another_size_are_refused():
    with pytest.raises(InputError, match="12 x 16"):
        cut_regions(
            torch.ones(3, 12, 16),
            masks_of((0, 0, 4, 4), size=(16, 12)),
            torch.zeros(1, 4),
            side=4,
            fill=BLACK,
        )


def test_one_kept_pixel_keeps_a_patch():
    mask = torch.zeros(1, 8, 8)
    mask[0, 3, 4] = 1
    assert keep_flags(mask, 4).tolist() == [[False, True, False, False]]
    with pytest.raises(ConfigError, match="patches of 3"):
        keep_flags(mask, 3)


def test_equal_regions_are_found_and_others_of_the_same_box_and_area_are_not():
    masks = masks_of((0, 0, 4, 4), (0, 0, 4, 4), (0, 0, 4, 4), (1, 0, 4, 4))
    masks[2, 0, 1] = masks[0, 0, 2] = masks[1, 0, 2] = False
    boxes = torch.tensor([[0, 0, 4, 4]] * 3 + [[1, 0, 4, 4]])
    firsts, place = distinct_regions(masks, boxes)
    assert firsts.tolist() == [0, 2, 3]
    assert place.tolist() == [0, 0, 1, 2]
