"""Resampling along one axis as sparse weights.

Upsampling a window's grid to pixels, averaging overlapping windows and resizing the result are
linear and act on rows and columns apart. So all three together are one matrix for the rows and one
for the columns, each with a few non-zero weights a row ("taps").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ResizeWeights", "bilinear", "chain", "window_average"]


@dataclass(frozen=True)
class ResizeWeights:
    """A sparse matrix (n, m): row i has `weight[i, t]` in column `index[i, t]`, summed.

    Attributes:
        index: (n, T) int64.
        weight: (n, T) float32; rows sum to 1.
    """

    index: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def block(self, start: int, stop: int, rows: int) -> tuple[Tensor, Tensor]:
        """Return rows `start` to `stop` as a small dense matrix.

        Args:
            start: first row.
            stop: end of the rows, exclusive.
            rows: height of the result; rows beyond `stop` are zero.

        Returns:
            (k,) columns that these rows use, ascending, and (rows, k) their weights.
        """
        index, weight = self.index[start:stop], self.weight[start:stop]
        used = torch.unique(index[weight != 0])
        place = torch.searchsorted(used, index).clamp_(max=len(used) - 1)
        matrix = weight.new_zeros(rows, len(used))
        matrix[: stop - start].scatter_add_(1, place, weight)
        return used, matrix


def bilinear(cells: int, length: int) -> ResizeWeights:
    """Weights of bilinear resizing along an axis, `align_corners=False`, no antialias (torch's).

    Args:
        cells: length of the input.
        length: length of the output.

    Example:
        >>> bilinear(2, 4).weight
        tensor([[1.0000, 0.0000],
                [0.7500, 0.2500],
                [0.2500, 0.7500],
                [1.0000, 0.0000]])
    """
    scale = torch.tensor(cells, dtype=torch.float32) / length
    source = (torch.arange(length, dtype=torch.float32) + 0.5).mul_(scale).sub_(0.5).clamp_(min=0)
    low = source.long().clamp_(max=cells - 1)
    high = (low + 1).clamp_(max=cells - 1)
    share = (source - low).clamp_(0, 1)
    share[low == high] = 0
    return ResizeWeights(torch.stack([low, high], 1), torch.stack([1 - share, share], 1))


def window_average(
    starts: tuple[int, ...], window: ResizeWeights, cells: int, length: int
) -> ResizeWeights:
    """Weights of the mean over windows laid along an axis.

    Args:
        starts: first pixel of each window.
        window: from a window's cells to its pixels.
        cells: cells of a window; those of window i are columns i * cells and following.
        length: pixels of the axis, all covered.

    Returns:
        From the cells of all windows to the pixels of the axis.
    """
    pixels = torch.arange(len(window))
    count = torch.zeros(length, dtype=torch.long)
    for start in starts:
        count[start : start + len(window)] += 1
    width = window.index.shape[1]
    index = torch.zeros(length, int(count.max()), width, dtype=torch.long)
    weight = torch.zeros(length, int(count.max()), width)
    seen = torch.zeros_like(count)
    for number, start in enumerate(starts):
        rows = pixels + start
        index[rows, seen[rows]] = window.index + number * cells
        weight[rows, seen[rows]] = window.weight
        seen[rows] += 1
    return ResizeWeights(index.flatten(1), (weight / count.view(-1, 1, 1)).flatten(1))


def chain(outer: ResizeWeights, inner: ResizeWeights) -> ResizeWeights:
    """Weights of `inner` followed by `outer`."""
    weight = outer.weight.unsqueeze(-1) * inner.weight[outer.index]
    return ResizeWeights(inner.index[outer.index].flatten(1), weight.flatten(1))
