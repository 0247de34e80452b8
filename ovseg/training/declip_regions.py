"""Which regions of an image DeCLIP learns from: the cells of a random grid, or proposals.

Source: Wang et al., "DeCLIP: Decoupled Learning for Open-Vocabulary Dense Perception" (CVPR 2025)
and its published code. Nothing is augmented; the only chance is the choice of the grid and of its
cells, drawn from Python's `random`.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

__all__ = ["grid_boxes", "grid_choices", "sample_grid", "sample_proposals"]

AREAS = (8**2, 1024**2)
"""Least and largest area of a proposal, in pixels."""


def grid_choices(max_split: int = 6) -> list[tuple[int, int]]:
    """All (rows, columns) with rows up to `max_split` and columns from rows / 2 to 2 * rows.

    Example:
        >>> grid_choices(2)
        [(1, 1), (1, 2), (2, 1), (2, 2)]
    """
    return [
        (rows, columns)
        for rows in range(1, max_split + 1)
        for columns in range(math.ceil(rows / 2), min(2 * rows, max_split) + 1)
    ]


def grid_boxes(rows: int, columns: int) -> Tensor:
    """Cells of a grid over the unit square: (rows * columns, 4) xyxy float32, row by row.

    Example:
        >>> grid_boxes(1, 2).tolist()
        [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    """
    y, x = torch.linspace(0, 1, rows + 1), torch.linspace(0, 1, columns + 1)
    top, left = torch.meshgrid(y[:-1], x[:-1], indexing="ij")
    bottom, right = torch.meshgrid(y[1:], x[1:], indexing="ij")
    return torch.stack([left, top, right, bottom], dim=-1).flatten(0, 1)


def sample_grid(max_split: int = 6, max_boxes: int = 20) -> Tensor:
    """Draw a grid, shuffle its cells and keep the first: (K, 4) xyxy in [0, 1], K <= max_boxes."""
    boxes = grid_boxes(*random.choice(grid_choices(max_split)))  # noqa: S311
    order = list(range(len(boxes)))
    random.shuffle(order)
    return boxes[order[:max_boxes]]


def sample_proposals(boxes: Tensor, size: tuple[int, int], max_boxes: int = 20) -> Tensor:
    """Draw some of the boxes that somebody proposes for an image.

    Args:
        boxes: (N, 4) xyxy in pixels; what sticks out of the image is cut off.
        size: (height, width) of the image.
        max_boxes: how many are kept.

    Returns:
        (K, 4) xyxy in pixels, of an area in `AREAS`; a quarter of both sides at the upper left
        where there is none.
    """
    height, width = size
    limit = torch.tensor([width, height, width, height], dtype=torch.float32)
    boxes = torch.minimum(boxes.float().clamp_min(0), limit)
    area = (boxes[:, 2] - boxes[:, 0]).clamp_min(0) * (boxes[:, 3] - boxes[:, 1]).clamp_min(0)
    fitting = ((area >= AREAS[0]) & (area <= AREAS[1])).nonzero().flatten().tolist()
    random.shuffle(fitting)
    if not fitting:
        return torch.tensor([[0.0, 0.0, width / 4, height / 4]])
    return boxes[fitting[:max_boxes]]
