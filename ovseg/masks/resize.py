"""Masks as other programs give them: resized, sorted, and the small ones left out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["large_first", "resize_masks"]


def resize_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring masks to another size; hard ones stay hard.

    Args:
        masks: (Q, H, W) bool, or float from 0 to 1.
        size: (h, w) of the result.

    Returns:
        (Q, h, w) of the same kind: the nearest pixel of hard masks, bilinear for others.
    """
    if tuple(masks.shape[1:]) == size or not len(masks):
        return masks.reshape(len(masks), *size)
    if masks.dtype == torch.bool:
        rows, columns = (_nearest(*sides) for sides in zip(masks.shape[1:], size, strict=True))
        return masks[:, rows.to(masks.device)][:, :, columns.to(masks.device)]
    return functional.interpolate(masks[None], size, mode="bilinear", align_corners=False)[0]


def _nearest(length: int, wanted: int) -> Tensor:
    """The pixel in whose middle each of the wanted ones lies."""
    return ((torch.arange(wanted) + 0.5) * (length / wanted)).long()


def large_first(areas: Tensor, least: float, most: int) -> Tensor:
    """Choose masks by their area.

    Args:
        areas: (Q) areas.
        least: smallest area that is kept.
        most: how many are kept.

    Returns:
        Numbers of the masks that are kept, the largest first.

    Example:
        >>> large_first(torch.tensor([3, 9, 1, 5]), least=2, most=2).tolist()
        [1, 3]
    """
    order = areas.argsort(descending=True, stable=True)
    return order[areas[order] >= least][:most]
