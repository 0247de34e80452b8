"""An image and its regions in square frames, letter-boxed as DeCLIP's towers see them.

Source: Wang et al., "DeCLIP: Decoupled Learning for Open-Vocabulary Dense Perception" (CVPR 2025)
and its published code.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["crop_regions", "enlarge", "in_frame", "letterbox"]


def enlarge(boxes: Tensor, factor: float, size: tuple[int, int]) -> Tensor:
    """Let boxes grow around their centers, cut off at the image's border.

    Args:
        boxes: (K, 4) xyxy in pixels.
        factor: of both sides; 1 or less changes nothing.
        size: (height, width) of the image.

    Example:
        >>> enlarge(torch.tensor([[4.0, 4.0, 8.0, 8.0]]), 2.0, (9, 20)).tolist()
        [[2.0, 2.0, 10.0, 9.0]]
    """
    if factor <= 1:
        return boxes
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * factor / 2
    limit = boxes.new_tensor([size[1], size[0]])
    least = (center - half).clamp_min(0)
    return torch.cat([least, torch.minimum(center + half, limit)], dim=1)


def in_frame(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes in pixels of an image, relative to its letter-boxed square.

    Args:
        boxes: (K, 4) xyxy in pixels.
        size: (height, width) of the image.

    Returns:
        (K, 4) in [0, 1]; the square's side does not matter, as it is the image's longest side.
    """
    return boxes / max(size)


def letterbox(image: Image.Image, side: int, *, centered: bool = False) -> np.ndarray:
    """Resize the longest side (bicubic) and fill up with black to a square.

    Args:
        image: RGB.
        side: of the square, in pixels.
        centered: put the image in the middle, as crops are; else at the upper left.

    Returns:
        (side, side, 3) uint8.
    """
    scale = side / max(image.size)
    width, height = (max(round(length * scale), 1) for length in image.size)
    square = np.zeros((side, side, 3), np.uint8)
    left, top = ((side - width) // 2, (side - height) // 2) if centered else (0, 0)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    square[top : top + height, left : left + width] = np.asarray(resized)
    return square


def crop_regions(image: Image.Image, boxes: Tensor, side: int) -> Tensor:
    """Cut boxes out of an image, each letter-boxed by itself.

    Args:
        image: RGB.
        boxes: (K, 4) xyxy in pixels; rounded half to even, one pixel at least.
        side: of a crop, in pixels.

    Returns:
        (K, 3, side, side) uint8.
    """
    crops = np.zeros((len(boxes), side, side, 3), np.uint8)
    for crop, box in zip(crops, boxes.tolist(), strict=True):
        x0, y0, x1, y1 = (round(edge) for edge in box)
        crop[:] = letterbox(
            image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))), side, centered=True
        )
    return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()
