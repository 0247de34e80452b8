"""Attention inside a window by the likeness of another tower's features (ProxyCLIP, Trident)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.heads.affinity import affinity

__all__ = ["mean_cosine", "proxy_attention", "proxy_logits", "through_grid"]


def mean_cosine(features: Tensor) -> Tensor:
    """Mean cosine of all pairs of patches inside the same window; no matrix of pairs is built.

    Args:
        features: (windows, C, h, w).

    Returns:
        (windows), each window's own mean.
    """
    unit = functional.normalize(features, dim=1)
    return unit.mean((2, 3)).square().sum(1)


def proxy_logits(cosines: Tensor, mean: Tensor, beta: float, gamma: float) -> Tensor:
    """Logits of the attention: how far a cosine is above beta times the mean.

    Args:
        cosines: (B, n, n).
        mean: (B, 1, 1) or a number for all windows.
        beta: pairs whose cosine is below beta times the mean are cut off.
        gamma: factor of what is above.

    Returns:
        (B, n, n), -inf where cut off. A patch that all of its row is cut off from keeps itself,
        so that an even image gives finite results.
    """
    logits = gamma * (cosines - beta * mean)
    cut = logits < 0
    alone = torch.diag_embed(cut.all(2))
    return logits.masked_fill(cut & ~alone, float("-inf"))


def proxy_attention(features: Tensor, mean: Tensor, beta: float, gamma: float) -> Tensor:
    """Attention (B, n, n) among the patches of each window, rows sum to 1.

    Args:
        features: (B, C, h, w) of the other tower.
        mean: as for `proxy_logits`.
        beta: as for `proxy_logits`.
        gamma: as for `proxy_logits`.
    """
    return proxy_logits(affinity(features), mean, beta, gamma).softmax(2)


def through_grid(attention: Tensor, seen: tuple[int, int], values: tuple[int, int]) -> Tensor:
    """Let attention over one grid act on values that lie on another, resized bilinearly.

    Args:
        attention: (B, m, n), n = cells of `seen`.
        seen: (h, w) of the attention's columns.
        values: (h', w') of the values.

    Returns:
        (B, m, h' * w'); the attention itself where the grids are the same.
    """
    if seen == values:
        return attention
    cells = values[0] * values[1]
    each = torch.eye(cells, device=attention.device, dtype=attention.dtype)
    shares = functional.interpolate(each.unflatten(1, values)[None], seen, mode="bilinear")
    return attention @ shares[0].flatten(1).T
