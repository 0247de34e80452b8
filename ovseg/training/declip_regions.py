"""What DeCLIP sees of a picture: the letter-boxed whole, a grid of regions, and their crops.

Source: Wang et al., "DeCLIP: Decoupled Learning for Open-Vocabulary Dense Perception" (CVPR 2025)
and its published code. Nothing is augmented; the only chance is the choice of the grid and of its
cells, drawn from Python's `random`.
"""

from __future__ import annotations

import math
import random

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = [
    "crop_regions",
    "enlarge",
    "grid_boxes",
    "grid_choices",
    "in_frame",
    "letterbox",
    "sample_grid",
    "sample_proposals",
]

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
    """Draw some of the boxes that somebody proposes for a picture.

    Args:
        boxes: (N, 4) xyxy in pixels; what sticks out of the picture is cut off.
        size: (height, width) of the picture.
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


def enlarge(boxes: Tensor, factor: float, size: tuple[int, int]) -> Tensor:
    """Let boxes grow around their centres, cut off at the picture's border.

    Args:
        boxes: (K, 4) xyxy in pixels.
        factor: of both sides; 1 or less changes nothing.
        size: (height, width) of the picture.

    Example:
        >>> enlarge(torch.tensor([[4.0, 4.0, 8.0, 8.0]]), 2.0, (9, 20)).tolist()
        [[2.0, 2.0, 10.0, 9.0]]
    """
    if factor <= 1:
        return boxes
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * factor / 2
    limit = boxes.new_tensor([size[1], size[0]])
    least = (centre - half).clamp_min(0)
    return torch.cat([least, torch.minimum(centre + half, limit)], dim=1)


def in_frame(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes in pixels of a picture, relative to its letter-boxed square.

    Args:
        boxes: (K, 4) xyxy in pixels.
        size: (height, width) of the picture.

    Returns:
        (K, 4) in [0, 1]; the square's side does not matter, as it is the picture's longest side.
    """
    return boxes / max(size)


def letterbox(picture: Image.Image, side: int, *, centred: bool = False) -> np.ndarray:
    """Resize the longest side (bicubic) and fill up with black to a square.

    Args:
        picture: RGB.
        side: of the square, in pixels.
        centred: put the picture in the middle, as crops are; else at the upper left.

    Returns:
        (side, side, 3) uint8.
    """
    scale = side / max(picture.size)
    width, height = (max(round(length * scale), 1) for length in picture.size)
    square = np.zeros((side, side, 3), np.uint8)
    left, top = ((side - width) // 2, (side - height) // 2) if centred else (0, 0)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    square[top : top + height, left : left + width] = np.asarray(resized)
    return square


def crop_regions(picture: Image.Image, boxes: Tensor, side: int) -> Tensor:
    """Cut boxes out of a picture, each letter-boxed by itself.

    Args:
        picture: RGB.
        boxes: (K, 4) xyxy in pixels; rounded half to even, one pixel at least.
        side: of a crop, in pixels.

    Returns:
        (K, 3, side, side) uint8.
    """
    crops = np.zeros((len(boxes), side, side, 3), np.uint8)
    for crop, box in zip(crops, boxes.tolist(), strict=True):
        x0, y0, x1, y1 = (round(edge) for edge in box)
        crop[:] = letterbox(
            picture.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))), side, centred=True
        )
    return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()
