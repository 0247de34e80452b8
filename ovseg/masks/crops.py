"""Regions of an image: masks to square crops whose outside is blanked.

Source: Liang et al., "Open-Vocabulary Semantic Segmentation with Mask-adapted CLIP" (CVPR 2023),
section 3.2, and its published code. Coordinates are pixels of the image that the masks belong
to; boxes are half-open: (left, top, right, bottom), right and bottom exclusive.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError, InputError

__all__ = [
    "MaskCrops",
    "binarize",
    "cut_regions",
    "distinct_regions",
    "expand_boxes",
    "keep_flags",
    "mask_boxes",
    "require_image_size",
]


class MaskCrops(NamedTuple):
    """Crops of one size.

    Attributes:
        pixels: (K, 3, S, S) float32 in the range of the image; bicubic resizing overshoots it.
        masks: (K, S, S) float32, what of a pixel was kept: 0 or 1, or between with matting.
    """

    pixels: Tensor
    masks: Tensor


def binarize(prob: Tensor, threshold: float) -> Tensor:
    """Masks (Q, h, w) bool: True strictly above the threshold; bool masks stay as they are."""
    return prob if prob.dtype == torch.bool else prob > threshold


def mask_boxes(masks: Tensor) -> Tensor:
    """Return the tight boxes of masks, all at once.

    Args:
        masks: (K, h, w) bool.

    Returns:
        (K, 4) int64 half-open boxes; zeros for an empty mask.

    Example:
        >>> mask = torch.zeros(1, 4, 5, dtype=torch.bool)
        >>> mask[0, 1:3, 2] = True
        >>> mask_boxes(mask).tolist()
        [[2, 1, 3, 3]]
    """
    columns, rows = masks.any(1), masks.any(2)
    sides = [_span(columns), _span(rows)]
    return torch.stack([sides[0][0], sides[1][0], sides[0][1], sides[1][1]], 1)


def _span(line: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last True of each row (K, n)."""
    found = line.to(torch.uint8)
    first = found.argmax(1)
    last = line.shape[1] - found.flip(1).argmax(1)
    return first, last.where(line.any(1), 0)


def expand_boxes(boxes: Tensor, ratio: float, size: tuple[int, int]) -> Tensor:
    """Stretch boxes around their centers, within the image.

    Corners are truncated toward zero, then clamped, as in the published code; a ratio below 1
    leaves one pixel at least.

    Args:
        boxes: (K, 4) half-open.
        ratio: factor of width and height; 1 changes nothing.
        size: (h, w) of the image.

    Returns:
        (K, 4) int64.

    Example:
        >>> expand_boxes(torch.tensor([[2, 1, 6, 3]]), 1.5, (10, 10)).tolist()
        [[1, 0, 7, 3]]
    """
    low, high = boxes[:, :2].double(), boxes[:, 2:].double()
    center, half = (low + high) * 0.5, (high - low) * ratio * 0.5
    limit = torch.tensor([size[1], size[0]], device=boxes.device)
    first = (center - half).long().clamp(min=0)
    last = torch.maximum((center + half).long(), first + (high > low).long())
    return torch.cat([first, torch.minimum(last, limit)], 1)


def require_image_size(masks: Tensor, image: Tensor) -> None:
    """Refuse masks (K, h, w) of another size than the image (3, h, w).

    Raises:
        InputError: they are.
    """
    if masks.shape[1:] != image.shape[1:]:
        raise InputError(
            f"masks of {masks.shape[1]} x {masks.shape[2]} pixels",
            expected=f"those of the image, {image.shape[1]} x {image.shape[2]}",
        )


def cut_regions(
    image: Tensor,
    keep: Tensor,
    boxes: Tensor,
    *,
    side: int,
    fill: Tensor,
) -> MaskCrops:
    """Cut regions out, blank what is outside the masks, and resize.

    Blanking comes before resizing; images are resized by the bicubic rule without antialias,
    masks by the nearest one, the aspect ratio is not kept.

    Args:
        image: (3, h, w) RGB of any range.
        keep: (K, h, w) what is kept of each pixel: bool, or float from 0 to 1 (matting).
        boxes: (K, 4) half-open, not empty, within the image.
        side: S of the result.
        fill: (3, 1, 1) color of what is blank, in the range of the image.

    Raises:
        InputError: masks of another size than the image.

    Example:
        >>> image, black = torch.ones(3, 2, 2), torch.zeros(3, 1, 1)
        >>> half = torch.tensor([[[True, True], [False, False]]])
        >>> cut = cut_regions(image, half, torch.tensor([[0, 0, 2, 2]]), side=2, fill=black)
        >>> cut.pixels[0, 0]
        tensor([[1., 1.],
                [0., 0.]])
    """
    require_image_size(keep, image)
    pixels = image.new_empty(len(keep), 3, side, side)
    masks = image.new_empty(len(keep), side, side)
    for number, (left, top, right, bottom) in enumerate(boxes.tolist()):
        share = keep[number, top:bottom, left:right].to(image.dtype)
        crop = torch.lerp(fill.to(image), image[:, top:bottom, left:right], share)
        pixels[number] = functional.interpolate(
            crop[None], (side, side), mode="bicubic", align_corners=False
        )[0]
        masks[number] = functional.interpolate(share[None, None], (side, side), mode="nearest")[
            0, 0
        ]
    return MaskCrops(pixels, masks)


def keep_flags(masks: Tensor, patch: int) -> Tensor:
    """Tell which patches show anything of their region: one kept pixel keeps a patch.

    Args:
        masks: (K, S, S) of regions, 0 where blank.
        patch: side of a patch in pixels; divides S.

    Returns:
        (K, L) bool in raster order, False for blank patches.

    Raises:
        ConfigError: patches do not fill the region.
    """
    if masks.shape[1] % patch or masks.shape[2] % patch:
        raise ConfigError(
            f"regions of {masks.shape[1]} x {masks.shape[2]} pixels for patches of {patch}",
            expected="a multiple of the patch",
        )
    return functional.max_pool2d(masks[:, None].float(), patch).flatten(1) > 0


def distinct_regions(keep: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Find regions that repeat, so that each is encoded once.

    Args:
        keep: (K, h, w) as `cut_regions` takes them.
        boxes: (K, 4) of the crops.

    Returns:
        (N) numbers of the first ones of their kind, and (K) the place of each region's kind among
        them.
    """
    firsts: list[int] = []
    alike: dict[tuple[float, ...], list[int]] = {}
    place = torch.empty(len(keep), dtype=torch.long)
    weights = keep.flatten(1).sum(1, dtype=torch.float64).tolist()
    for number, key in enumerate(zip(*boxes.T.tolist(), weights, strict=True)):
        rivals = alike.setdefault(key, [])
        same = next((r for r in rivals if torch.equal(keep[firsts[r]], keep[number])), None)
        if same is None:
            same = len(firsts)
            rivals.append(same)
            firsts.append(number)
        place[number] = same
    return torch.tensor(firsts, dtype=torch.long), place
