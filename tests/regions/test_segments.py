import numpy as np
import pytest
import torch

from ovseg.errors import InputError
from ovseg.models.clip import build_clip
from ovseg.regions import region_features, segment_regions


def image_with_masks():
    """A wide image: a red thing, stuff at the lower border, a speck."""
    image = np.zeros((60, 100, 3), np.uint8)
    masks = np.zeros((3, 60, 100), bool)
    masks[0, 10:30, 20:60] = True
    masks[1, 48:60, :] = True
    masks[2, 0:3, 0:3] = True
    image[masks[0]] = (255, 0, 0)
    return image, masks


def test_boxes_masks_and_crops_of_segments():
    image, masks = image_with_masks()
    found = segment_regions(image, masks, [True, False, True], side=80, patch=8, crop=32)
    assert found.kept.tolist() == [0, 1]
    assert found.image.shape == (3, 80, 80)
    # The stuff's box ends one pixel short.
    expected = torch.tensor([[20, 10, 60, 30], [0, 48, 99, 59]]) / 100
    torch.testing.assert_close(found.boxes, expected)
    assert found.masks.shape == (2, 10, 10)
    assert found.masks[0].nonzero().tolist() == [[y, x] for y in (1, 2) for x in range(2, 6)]
    assert found.masks[1].any(1).tolist() == [False] * 4 + [False, True] + [False] * 4
    # The crop of the thing is 60 x 30 pixels around it, letter-boxed: red in the middle only.
    red = found.crops[0, 0] > 0.5
    assert found.crops.shape == (2, 3, 32, 32)
    assert red[[16, 16, 1], [16, 1, 16]].tolist() == [True, False, False]


def test_annotated_boxes_count_for_things_only():
    image, masks = image_with_masks()
    boxes = torch.tensor([[10.0, 0.0, 70.0, 40.0]]).expand(3, 4)
    found = segment_regions(image, masks, [True, False, False], boxes=boxes, side=80, patch=8)
    torch.testing.assert_close(found.boxes[0], boxes[0] / 100)
    torch.testing.assert_close(found.boxes[1], torch.tensor([0, 0.48, 0.99, 0.59]))


def test_segments_go_into_region_features(tiny_clip_files):
    clip = build_clip(*tiny_clip_files)
    found = segment_regions(*image_with_masks(), [True] * 3, side=64, patch=8, crop=32)
    vectors = region_features(
        clip, found.image[None], [found.boxes], masks=[found.masks], crops=found.crops
    )
    assert {name: tuple(v.shape) for name, v in vectors.items()} == dict.fromkeys(
        ("rois", "maskpool", "crops"), (2, clip.embed_dim)
    )


def test_segments_that_do_not_fit():
    image, masks = image_with_masks()
    with pytest.raises(InputError, match=r"\(N, 60, 100\)"):
        segment_regions(image, masks[:, :50], [True] * 3)
    with pytest.raises(InputError, match="empty mask"):
        segment_regions(image, masks & False, [True] * 3)
    assert len(segment_regions(image, masks[:0], []).boxes) == 0
