"""One vector for every box or mask of a map of features, as DeCLIP and CLIPSelf pool them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torchvision.ops import roi_align

from ovseg.errors import InputError

__all__ = ["mask_mean", "mask_pool", "roi_grid", "roi_pool"]

_EPS = 1e-12


def roi_grid(features: Tensor, boxes: Sequence[Tensor], size: int) -> Tensor:
    """Features of boxes on a grid of their own: RoIAlign with aligned corners, adaptive sampling.

    Args:
        features: (B, E, h, w), any length.
        boxes: for every image (n, 4), left, top, right and bottom in parts of its sides. A box
            may stick out of the image, be smaller than a cell, or have no area.
        size: rows and columns of the result.

    Returns:
        (K, E, size, size) float32 of all boxes, image by image; 0 for a box without area.

    Raises:
        InputError: other shapes; a box that is not finite, upside down or outside of the image.
    """
    _check_maps(features, boxes, "boxes")
    for index, each in enumerate(boxes):
        _check_boxes(each, index)
    height, width = features.shape[2:]
    cells = features.new_tensor([width, height, width, height], dtype=torch.float32)
    in_cells = [each.to(cells) * cells for each in boxes]
    return roi_align(features.float(), in_cells, size, sampling_ratio=-1, aligned=True)


def roi_pool(features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
    """One unit vector a box: the 1 x 1 grid of `roi_grid`; arguments and errors are the same.

    Returns:
        (K, E) float32; the zero vector for a box without area.

    Example:
        >>> features = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
        >>> roi_pool(features, [torch.tensor([[0.1, 0.2, 0.4, 0.9]])])
        tensor([[0.6000, 0.8000]])
    """
    return normalize(roi_grid(features, boxes, 1).flatten(1), dim=1)


def mask_mean(features: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """Mean of the features under every mask.

    Args:
        features: (B, E, h, w), any length.
        masks: for every image (n, h, w) weights on the grid of the features, not negative.

    Returns:
        (K, E) float32 of all masks, image by image; 0 for an empty mask.

    Raises:
        InputError: other shapes.
    """
    _check_maps(features, masks, "masks")
    means = []
    for image, each in zip(features.float(), masks, strict=True):
        if each.ndim != 3 or each.shape[1:] != image.shape[1:]:
            raise InputError(
                f"masks of shape {tuple(each.shape)}",
                expected="(n, {}, {}), the grid of the features".format(*image.shape[1:]),
            )
        weights = each.to(image).flatten(1)
        total = weights.sum(1, keepdim=True) + _EPS
        means.append(weights @ image.flatten(1).T / total)
    return torch.cat(means)


def mask_pool(features: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """One unit vector a mask, see `mask_mean`; the zero vector for an empty mask: (K, E)."""
    return normalize(mask_mean(features, masks), dim=1)


def _check_maps(features: Tensor, regions: Sequence[Tensor], what: str) -> None:
    if features.ndim != 4:
        raise InputError(f"features of shape {tuple(features.shape)}", expected="(B, E, h, w)")
    if len(regions) != len(features):
        raise InputError(
            f"{what} of {len(regions)} images for features of {len(features)}",
            expected=f"one tensor of {what} an image",
        )


def _check_boxes(boxes: Tensor, image: int) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(
            f"boxes of shape {tuple(boxes.shape)}", where=f"image {image}", expected="(n, 4)"
        )
    left, top, right, bottom = boxes.unbind(1)
    inside = (left < 1) & (top < 1) & (right > 0) & (bottom > 0)
    # Comparisons with NaN are false.
    good = torch.isfinite(boxes).all(1) & (left <= right) & (top <= bottom) & inside
    if not bool(good.all()):
        index = int((~good).nonzero()[0])
        raise InputError(
            f"box {[round(float(x), 4) for x in boxes[index]]} is not one of this image",
            where=f"image {image}, box {index}",
            expected="left <= right, top <= bottom in parts of the sides, overlapping [0, 1]",
            fix="divide pixels by the width and height, and drop boxes outside of the image",
        )
