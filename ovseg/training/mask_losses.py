"""What a proposal network learns: queries matched to masks, and their losses.

Source: Cheng et al., "Per-Pixel Classification is Not All You Need for Semantic Segmentation"
(NeurIPS 2021), sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

__all__ = [
    "NO_OBJECT",
    "WEIGHTS",
    "MaskTargets",
    "dice_loss",
    "mask_losses",
    "match",
    "pixel_loss",
    "targets_of_labels",
]

WEIGHTS = {"class": 1.0, "mask": 20.0, "dice": 1.0}
"""Factors of the matching's costs and of the losses."""

NO_OBJECT = 0.1
"""Weight of the class "no object" in the cross entropy."""


class MaskTargets(NamedTuple):
    """What there is in an image.

    Attributes:
        labels: (n,) int64 class ids.
        masks: (n, H, W) float32 of 0 and 1.
    """

    labels: Tensor
    masks: Tensor


def targets_of_labels(labels: Tensor, ignore: int = 255) -> MaskTargets:
    """One mask for every class that a label map shows.

    Args:
        labels: (H, W) int64.
        ignore: the label of no class.

    Example:
        >>> found = targets_of_labels(torch.tensor([[3, 1], [255, 3]]))
        >>> found.labels.tolist(), found.masks.flatten(1).tolist()
        ([1, 3], [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]])
    """
    present = labels.unique()
    present = present[present != ignore]
    return MaskTargets(present, (labels == present[:, None, None]).float())


@torch.no_grad()
def match(logits: Tensor, masks: Tensor, targets: MaskTargets) -> tuple[Tensor, Tensor]:
    """Match the queries of an image to its masks at the least cost, one to one.

    The masks are compared at the size of the mask logits.

    Args:
        logits: (Q, C + 1) class logits, "no object" last.
        masks: (Q, h, w) mask logits.
        targets: what there is.

    Returns:
        Indices of queries, ascending, and of the targets that belong to them.
    """
    if not len(targets.labels):
        return (torch.empty(0, dtype=torch.long, device=logits.device),) * 2
    probs = logits.float().softmax(dim=-1)
    small = functional.interpolate(targets.masks[None], size=masks.shape[1:], mode="nearest")[0]
    found, wanted = masks.float().flatten(1), small.flatten(1)
    cost = (
        WEIGHTS["class"] * -probs[:, targets.labels]
        + WEIGHTS["mask"] * _focal_cost(found, wanted)
        + WEIGHTS["dice"] * _dice_cost(found.sigmoid(), wanted)
    )
    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    device = logits.device
    return torch.as_tensor(rows, device=device), torch.as_tensor(columns, device=device)


def mask_losses(
    logits: Tensor, masks: Tensor, targets: Sequence[MaskTargets], count: float
) -> dict[str, Tensor]:
    """Losses of one layer's queries, not weighted.

    Args:
        logits: (B, Q, C + 1) class logits, "no object" last.
        masks: (B, Q, h, w) mask logits.
        targets: of every image.
        count: number of masks, over which the mask losses are averaged.

    Returns:
        Scalars `class`, `mask` and `dice`.
    """
    pairs = [match(*each) for each in zip(logits, masks, targets, strict=True)]
    classes = torch.full(logits.shape[:2], logits.shape[2] - 1, device=logits.device)
    for place, (rows, columns) in enumerate(pairs):
        classes[place, rows] = targets[place].labels[columns]
    weight = torch.ones(logits.shape[2], device=logits.device)
    weight[-1] = NO_OBJECT
    losses = {"class": functional.cross_entropy(logits.float().transpose(1, 2), classes, weight)}
    picked = torch.cat([each[rows] for each, (rows, _) in zip(masks, pairs, strict=True)]).float()
    if not len(picked):
        return losses | {"mask": masks.sum() * 0.0, "dice": masks.sum() * 0.0}
    wanted = torch.cat([t.masks[columns] for t, (_, columns) in zip(targets, pairs, strict=True)])
    found = functional.interpolate(
        picked[None], wanted.shape[1:], mode="bilinear", align_corners=False
    )[0]
    found, wanted = found.flatten(1), wanted.flatten(1)
    losses["mask"] = sigmoid_focal_loss(found, wanted).mean(dim=1).sum() / count
    losses["dice"] = dice_loss(found.sigmoid(), wanted).sum() / count
    return losses


def dice_loss(probs: Tensor, wanted: Tensor) -> Tensor:
    """Dice loss (...,) of masks (..., N), each with its own.

    Args:
        probs: from 0 to 1.
        wanted: 0 or 1.

    Example:
        >>> dice_loss(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
        tensor([0.2500])
    """
    shared = 2 * (probs * wanted).sum(dim=-1) + 1
    return 1 - shared / (probs.sum(dim=-1) + wanted.sum(dim=-1) + 1)


def pixel_loss(logits: Tensor, labels: Tensor, ignore: int = 255) -> Tensor:
    """Cross entropy of every labeled pixel, at the size of the logits.

    Besides the masks it teaches the pixel decoder what every pixel is, which makes a network that
    starts from random weights learn several times faster.

    Args:
        logits: (B, C, h, w) class logits.
        labels: (B, H, W) int64 over the same images.
        ignore: the label of no class.

    Returns:
        Scalar; 0 where nothing is labeled.

    Source: Yu et al., "kMaX-DeepLab: k-means Mask Transformer" (ECCV 2022), section 3.3, auxiliary
    semantic segmentation loss.
    """
    size = logits.shape[2:]
    small = functional.interpolate(labels[:, None].float(), size, mode="nearest-exact")
    small = small[:, 0].long()
    total = functional.cross_entropy(logits.float(), small, ignore_index=ignore, reduction="sum")
    return total / (small != ignore).sum().clamp_min(1)


def _focal_cost(logits: Tensor, wanted: Tensor) -> Tensor:
    """Focal loss of every mask (Q, N) with every wanted one (n, N): (Q, n)."""
    inside = sigmoid_focal_loss(logits, torch.ones_like(logits))
    outside = sigmoid_focal_loss(logits, torch.zeros_like(logits))
    return (inside @ wanted.T + outside @ (1 - wanted).T) / logits.shape[1]


def _dice_cost(probs: Tensor, wanted: Tensor) -> Tensor:
    shared = 2 * probs @ wanted.T + 1
    return 1 - shared / (probs.sum(dim=1)[:, None] + wanted.sum(dim=1) + 1)
