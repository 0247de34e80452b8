"""Affinity of patches, and pooling by it: the arithmetic of CLIP-DINOiser (its section 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["affinity", "cut_below", "affinity_pool"]


def affinity(features: Tensor) -> Tensor:
    """Cosines of all pairs of patches.

    Args:
        features: (B, C, h, w), any length.

    Returns:
        (B, h * w, h * w), rows and columns in raster order.
    """
    unit = functional.normalize(features.flatten(2), dim=1)
    return unit.transpose(1, 2) @ unit


def cut_below(correlations: Tensor, gamma: float | None) -> Tensor:
    """Set what is below gamma to 0, in place; None or 0 leaves all as it is.

    Args:
        correlations: any shape, float32.
        gamma: values equal to it stay.

    Example:
        >>> cut_below(torch.tensor([0.5, 0.25, -1.0]), 0.5)
        tensor([0.5000, 0.0000, 0.0000])
    """
    if not gamma:
        return correlations
    # `threshold` keeps what is above its bound: no second matrix for a mask.
    least = torch.tensor(gamma, dtype=correlations.dtype)
    bound = torch.nextafter(least, torch.tensor(-math.inf, dtype=correlations.dtype))
    return functional.threshold(correlations, float(bound), 0.0, inplace=True)


def affinity_pool(features: Tensor, correlations: Tensor, grid: tuple[int, int]) -> Tensor:
    """Replace every patch by the mean of all patches, weighted by its row of the affinity.

    Args:
        features: (B, E, h', w'); resized bilinearly where this is another grid.
        correlations: (B, n, n), row i for patch i.
        grid: (h, w) of the affinity, h * w = n.

    Returns:
        (B, E, h, w); 0 where a row is 0.
    """
    if tuple(features.shape[2:]) != tuple(grid):
        features = functional.interpolate(features, grid, mode="bilinear", align_corners=False)
    pooled = features.flatten(2) @ correlations.transpose(1, 2)
    return (pooled / (correlations.sum(2)[:, None] + 1e-6)).unflatten(2, grid)
