"""Prompts with their masks, from drawn scenes: what a refiner would ask, and SAM's plainer kinds.

A refiner's prompts come from a coarse segmentation. It is imitated by spoiling the true mask of a
region; now and then a prompt lies where no region is, as a wrong label would put it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from tools.tiny.scene_store import SceneStore

__all__ = ["KINDS", "PromptBatch", "prompt_batch"]

KINDS = ("boxes", "points", "coarse")
"""Kinds of prompts; a refiner gives all three together."""

MASK_FACTOR, MASK_FLOOR = 4.0, 0.2
"""A coarse mask is its probability times the factor, and 0 where that is below the floor."""

_USES = (KINDS, KINDS, KINDS, KINDS, ("boxes",), ("points",), KINDS[:2], KINDS[1:])
_PER_IMAGE = 6
_LEAST_AREA = 64
_WRONG = 0.25
_MOST_FLAWS = 5


@dataclass
class PromptBatch:
    """Images, and n prompts with their masks for each.

    Attributes:
        images: (B, 3, S, S) float32 RGB in [0, 255].
        masks: B tensors (n, S, S) float32 in {0, 1}; all 0 for a prompt that fits no region.
        points: B tensors (n, 1, 2) float32, x and y in pixels.
        boxes: B tensors (n, 4) float32, x0 y0 x1 y1 in pixels.
        coarse: B tensors (n, 1, S/2, S/2) float32, the spoilt mask as SAM takes it.
        use: for each image which of `KINDS` are given.
    """

    images: Tensor
    masks: list[Tensor]
    points: list[Tensor]
    boxes: list[Tensor]
    coarse: list[Tensor]
    use: list[tuple[str, ...]]

    def to(self, device: str) -> PromptBatch:
        """The same batch on ``device``."""
        lists = (self.masks, self.points, self.boxes, self.coarse)
        moved = [[item.to(device) for item in items] for items in lists]
        return PromptBatch(self.images.to(device), *moved, self.use)


def prompt_batch(store: SceneStore, rng: np.random.Generator, size: int) -> PromptBatch:
    """Draw ``size`` whole scenes with up to six prompts each, all of one kind in an image."""
    images, use = [], []
    lists: tuple[list[Tensor], ...] = ([], [], [], [])
    while len(images) < size:
        view = store.view(rng, store.size, 8)
        found, areas = np.unique(view.instances, return_counts=True)
        kept = rng.permutation(found[(areas >= _LEAST_AREA) & (found != 255)])[:_PER_IMAGE]
        if not len(kept):
            continue
        rows = [_prompt(view.instances == index, rng) for index in kept]
        images.append(torch.from_numpy(view.image.copy()).permute(2, 0, 1).float())
        for target, parts in zip(lists, zip(*rows, strict=True), strict=True):
            target.append(torch.from_numpy(np.stack(parts).astype(np.float32)))
        use.append(_USES[int(rng.integers(len(_USES)))])
    return PromptBatch(torch.stack(images), *lists, use)


def _prompt(region: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Mask (S, S), point (1, 2), box (4) and coarse mask (1, S/2, S/2) for a region."""
    wrong = rng.random() < _WRONG
    if wrong:
        region = _blob(len(region), rng, 1 / 6)
    mask = _one_part(region, rng)
    likely = _spoil(region, rng)
    seen = _overlapping_part(likely > 0.5, mask[::2, ::2])
    rows, columns = np.nonzero(seen)
    at = int(likely[rows, columns].argmax())
    point = 2 * np.array([[columns[at], rows[at]]])
    box = 2 * np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    coarse = np.where(likely > MASK_FLOOR, MASK_FACTOR * likely, 0)[None]
    return np.zeros_like(mask) if wrong else mask, point, box, coarse


def _blob(side: int, rng: np.random.Generator, largest: float) -> np.ndarray:
    """(side, side) bool, an ellipse somewhere: a label where nothing of that shape is.

    Args:
        side: of the image.
        rng: decides everything.
        largest: the largest half axis, as a share of the side.
    """
    blob = np.zeros((side, side), np.uint8)
    center = tuple(int(v) for v in rng.integers(side // 16, side - side // 16, 2))
    axes = tuple(int(v) for v in rng.integers(side // 48, int(side * largest), 2))
    cv2.ellipse(blob, center, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return blob > 0


def _one_part(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of a region's large connected parts, which something in front may have cut apart."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    large = np.flatnonzero(areas >= min(_LEAST_AREA, areas.max())) + 1
    return parts == rng.choice(large)


def _overlapping_part(seen: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The connected part of what was seen that covers most of a mask; the mask where none does."""
    count, parts = cv2.connectedComponents(seen.astype(np.uint8))
    shared = np.bincount(parts[mask], minlength=count)[1:]
    if not shared.any():
        return mask if mask.any() else np.ones_like(mask)
    return parts == 1 + shared.argmax()


def _spoil(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S/2, S/2) probability of a mask, as another model might give it.

    It is blocky and uncertain, has holes, and islands where nothing is.
    """
    side = len(mask)
    for _ in range(int(rng.integers(_MOST_FLAWS + 1))):
        mask = mask ^ _blob(side, rng, 1 / 12)
    cell = int(rng.choice([8, 16]))
    small = cv2.resize(
        mask.astype(np.float32), (side // cell, side // cell), interpolation=cv2.INTER_AREA
    )
    if rng.random() < 0.5:
        small = cv2.blur(small, (3, 3))
    small = small + rng.normal(0, 0.2, small.shape).astype(np.float32)
    soft = cv2.resize(small, (side // 2, side // 2), interpolation=cv2.INTER_LINEAR)
    return 1 / (1 + np.exp((0.5 - soft) * rng.uniform(6, 20)))
