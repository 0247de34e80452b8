"""Prompts for SAM out of a coarse segmentation, as Trident asks for them (arXiv 2411.09219).

Everything happens at half the image's resolution: every connected region of a label gives a box
and a point, and the probability map of its class a mask prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from ovseg.models.sam import long_side_size
from ovseg.utils.shapes import size_of

__all__ = [
    "Prompts",
    "find_prompts",
    "half_labels",
    "half_maps",
    "half_size",
    "mask_prompts",
    "nearest",
]

_EIGHT_NEIGHBORS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Prompts:
    """n regions of a coarse segmentation, by class, then by their first pixel.

    Attributes:
        classes: (n,) int64.
        boxes: (n, 4) float32, (x0, y0, x1, y1) of the outermost pixels.
        points: (n, 2) int64, (x, y) of the pixel where the class is most probable.
        regions: (h, w) int32, number of the region + 1; 0 outside of all.
    """

    classes: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    regions: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def to_input(self, side: int) -> tuple[Tensor, Tensor]:
        """Boxes (n, 4) and points (n, 2) float32 in pixels of an input with this long side."""
        height, width = self.regions.shape
        rows, columns = long_side_size((height, width), side)
        factor = np.array([columns / width, rows / height])
        boxes, points = self.boxes * np.tile(factor, 2), self.points * factor
        return torch.from_numpy(boxes).float(), torch.from_numpy(points).float()

    def union(self, chosen: np.ndarray) -> np.ndarray:
        """(h, w) bool, the regions of the chosen prompts (n,) together."""
        return np.concatenate([[False], chosen])[self.regions]


def half_size(size: tuple[int, int]) -> tuple[int, int]:
    """Half of (H, W), rounded down but at least 1.

    Example:
        >>> half_size((83, 106)), half_size((1, 5000))
        ((41, 53), (1, 2500))
    """
    height, width = (max(side // 2, 1) for side in size)
    return height, width


def nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (h, w) values without mixing them: pixel i is that at floor(i * old / new)."""
    rows, columns = (np.arange(n) * o // n for n, o in zip(size, values.shape, strict=True))
    return values[rows[:, None], columns]


def half_labels(labels: np.ndarray, confidence: np.ndarray, floor: float) -> np.ndarray:
    """Labels at half resolution; -1 where no class is probable enough.

    Args:
        labels: (H, W) integers.
        confidence: (h, w), the largest probability at half resolution.
        floor: pixels below this are left out; 0 leaves none out.
    """
    small = nearest(labels, confidence.shape).astype(np.int64)
    return np.where(confidence < floor, -1, small)


def half_maps(maps: Tensor) -> Tensor:
    """Resize maps (K, H, W) bilinearly to half the resolution."""
    size = half_size(size_of(maps))
    return functional.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]


def find_prompts(
    labels: np.ndarray, classes: Sequence[int], maps: np.ndarray, floor: float, minimal_area: int
) -> Prompts:
    """Find the connected regions (8 neighbors) and what to ask about each.

    Args:
        labels: (h, w) integers, as `half_labels` gives them.
        classes: K classes that are asked for, ascending.
        maps: (K, h, w) their probabilities.
        floor: a class that is nowhere as probable as this gives no prompts.
        minimal_area: regions with fewer pixels are left out.
    """
    regions = np.zeros(labels.shape, np.int32)
    found: list[tuple[int, list[int], list[int]]] = []
    for number, probability in zip(classes, maps, strict=True):
        if probability.max() < floor:
            continue
        parts, count = ndimage.label(labels == number, _EIGHT_NEIGHBORS)
        areas = np.bincount(parts.ravel(), minlength=count + 1)
        for part, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
            if areas[part] < minimal_area:
                continue
            inside = parts[rows, columns] == part
            peak = np.where(inside, probability[rows, columns], -np.inf).argmax()
            y, x = np.unravel_index(peak, inside.shape)
            box = [columns.start, rows.start, columns.stop - 1, rows.stop - 1]
            found.append((number, box, [columns.start + x, rows.start + y]))
            regions[rows, columns][inside] = len(found)
    return Prompts(
        np.array([row[0] for row in found], np.int64),
        np.array([row[1] for row in found], np.float32).reshape(-1, 4),
        np.array([row[2] for row in found], np.int64).reshape(-1, 2),
        regions,
    )


def mask_prompts(
    maps: Tensor, size: tuple[int, int], side: int, factor: float, floor: float
) -> Tensor:
    """Probability maps as SAM takes masks: scaled, empty where improbable, padded with 0.

    Args:
        maps: (K, h, w) at half resolution.
        size: (H, W) of the image.
        side: side of a mask prompt.
        factor: what probabilities are multiplied by.
        floor: those up to this become 0.

    Returns:
        (K, side, side).
    """
    rows, columns = long_side_size(size, side)
    scaled = functional.interpolate(
        maps[None], (rows, columns), mode="bilinear", align_corners=False
    )[0]
    kept = torch.where(scaled > floor, factor * scaled, 0.0)
    return functional.pad(kept, (0, side - columns, 0, side - rows))
