"""Segments of an image as boxes, masks and crops, laid out as for DeCLIP's training log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ovseg.errors import InputError
from ovseg.regions.frames import crop_regions, enlarge, in_frame, letterbox

__all__ = ["Segments", "segment_regions"]

AREAS = (8.0**2, 1024.0**2)
"""Least and largest area of a segment's box, in pixels."""

MOST = 100
"""Segments of one image that count."""

_THING_CROP = 1.5


@dataclass(frozen=True)
class Segments:
    """Regions of a letter-boxed image, in the form that `region_features` takes.

    Attributes:
        image: (3, S, S) RGB in [0, 1].
        boxes: (n, 4) in parts of the square's side.
        masks: (n, S / patch, S / patch) float32, 0 or 1.
        crops: (n, 3, c, c) RGB in [0, 1].
        kept: (n) which of the given segments these are.
    """

    image: Tensor
    boxes: Tensor
    masks: Tensor
    crops: Tensor
    kept: Tensor


def segment_regions(
    image: np.ndarray,
    masks: np.ndarray | Tensor,
    things: Sequence[bool],
    *,
    boxes: Tensor | None = None,
    side: int = 560,
    patch: int = 16,
    crop: int = 224,
) -> Segments:
    """Lay out the segments of an image.

    Segments whose box is below 8 x 8 or above 1024 x 1024 pixels are left out, and those after the
    first 100. Crops of things are half as large again as their boxes.

    Args:
        image: (H, W, 3) uint8 RGB.
        masks: (N, H, W) bool.
        things: (N) which segments are things; the others are stuff.
        boxes: (N, 4) annotated boxes in pixels; None takes the masks' own. As in the published
            evaluation, the box of stuff is always its mask's own and ends one pixel short.
        side: S, of the square that the image is letter-boxed into: a multiple of the patch.
        patch: pixels of a cell.
        crop: c, of the crops: the native size of the tower.

    Raises:
        InputError: other shapes, or an empty mask.
    """
    masks = torch.as_tensor(masks, dtype=torch.bool)
    size = tuple(image.shape[:2])
    if masks.ndim != 3 or tuple(masks.shape[1:]) != size or len(masks) != len(things):
        raise InputError(
            f"masks of shape {tuple(masks.shape)}, {len(things)} things or stuff",
            expected=f"(N, {size[0]}, {size[1]}) and N",
        )
    if not bool(masks.flatten(1).any(1).all()):
        raise InputError("an empty mask", expected="at least one pixel a segment")
    whole = torch.tensor(list(things), dtype=torch.bool)
    tight = _tight_boxes(masks, whole) if len(masks) else torch.zeros(0, 4)
    in_pixels = tight if boxes is None else torch.where(whole[:, None], boxes.float(), tight)
    spans = in_pixels[:, 2:] - in_pixels[:, :2]
    area = spans.prod(1)
    kept = ((area >= AREAS[0]) & (area <= AREAS[1])).nonzero().flatten()[:MOST]
    in_pixels, whole = in_pixels[kept], whole[kept]
    cut = torch.where(whole[:, None], enlarge(in_pixels, _THING_CROP, size), in_pixels)
    pil = Image.fromarray(image)
    return Segments(
        image=torch.from_numpy(letterbox(pil, side)).permute(2, 0, 1) / 255,
        boxes=in_frame(in_pixels, size),
        masks=_on_grid(masks[kept], side // patch),
        crops=crop_regions(pil, cut, crop) / 255,
        kept=kept,
    )


def _tight_boxes(masks: Tensor, things: Tensor) -> Tensor:
    """(N, 4) first and last index of every mask; of things the end of the last pixel."""
    edges = []
    for axis in (1, 2):
        seen = masks.any(3 - axis)
        length = seen.shape[1]
        first = seen.int().argmax(1)
        edges.append((first, length - 1 - seen.flip(1).int().argmax(1)))
    (top, bottom), (left, right) = edges
    boxes = torch.stack([left, top, right, bottom], dim=1).float()
    boxes[:, 2:] += things[:, None]
    return boxes


def _on_grid(masks: Tensor, cells: int) -> Tensor:
    """Masks (n, H, W) on the grid of the letter-boxed image: (n, cells, cells), 0 or 1."""
    height, width = masks.shape[1:]
    rows, columns = (
        max(round(length * cells / max(height, width)), 1) for length in (height, width)
    )
    small = functional.interpolate(
        masks[:, None].float(), (rows, columns), mode="bicubic", align_corners=False
    )[:, 0]
    return functional.pad((small > 0).float(), (0, cells - columns, 0, cells - rows))
