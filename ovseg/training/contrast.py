"""Contrastive losses between images, regions and their captions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["caption_masks", "image_caption_loss", "region_caption_loss"]


def image_caption_loss(images: Tensor, captions: Tensor, scale: Tensor) -> Tensor:
    """CLIP's symmetric loss: row i of the images belongs to row i of the captions.

    Args:
        images: (B, E) unit rows.
        captions: (B, E) unit rows.
        scale: scalar, the inverse temperature.

    Returns:
        The mean of both directions' cross entropies, a scalar.

    Source: Radford et al. 2021, figure 3.

    Example:
        >>> rows = torch.eye(3)
        >>> round(float(image_caption_loss(rows, rows, torch.tensor(100.0))), 4)
        0.0
    """
    logits = scale * images @ captions.T
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def caption_masks(
    regions: Sequence[tuple[int, str | None]],
    captions: Sequence[tuple[int | None, str | None]],
) -> Tensor:
    """Which caption is true of which region.

    A caption without a color holds for every region of its class, one without a class for every
    region of its color, one with both only where both are right.

    Args:
        regions: R pairs (class id, color word or None).
        captions: C pairs (class id, color word), each None when it is not said.

    Returns:
        (R, C) bool.

    Example:
        >>> caption_masks([(1, "red"), (1, "blue")], [(1, None), (1, "red")]).tolist()
        [[True, True], [True, False]]
    """
    return torch.tensor(
        [
            [said in (None, kind) and color in (None, own) for said, color in captions]
            for kind, own in regions
        ],
        dtype=torch.bool,
    ).reshape(len(regions), len(captions))


def region_caption_loss(
    regions: Tensor,
    captions: Tensor,
    target: Tensor,
    true: Tensor,
    scale: Tensor,
    unknown: Tensor | None = None,
) -> Tensor:
    """Symmetric contrastive loss of regions and distinct captions.

    Captions that are also true of a region, though not its own, are left out of its negatives;
    a caption's positives are all regions of which it is true.

    Args:
        regions: (R, E) unit rows, one a region.
        captions: (C, E) unit rows, one a distinct caption of the batch.
        target: (R,) long, each region's own caption.
        true: (R, C) bool of :func:`caption_masks`.
        scale: scalar, the inverse temperature.
        unknown: (R, C) bool, pairs that are neither true nor negatives; no region's own.

    Returns:
        The mean of both directions, a scalar.

    Example:
        >>> rows = torch.eye(2)
        >>> true = torch.eye(2, dtype=torch.bool)
        >>> loss = region_caption_loss(rows, rows, torch.arange(2), true, torch.tensor(100.0))
        >>> round(float(loss), 4)
        0.0
    """
    logits = scale * regions @ captions.T
    if unknown is not None:
        logits = logits.masked_fill(unknown, float("-inf"))
    own = F.one_hot(target, len(captions)).bool()
    to_caption = F.cross_entropy(logits.masked_fill(true & ~own, float("-inf")), target)
    log_share = logits.log_softmax(dim=0).masked_fill(~true, 0.0)
    named = true.any(dim=0)
    to_region = -(log_share.sum(dim=0) / true.sum(dim=0).clamp(min=1))[named].mean()
    return (to_caption + to_region) / 2
