"""Masks from any head that labels pixels: the connected parts of its coarse segmentation.

CLIP then judges again, one whole part at a time, what that head judged patch by patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.heads.base import score_image
from ovseg.images.decode import to_pixels
from ovseg.inference.decode import ImageMaps, decode, maps
from ovseg.inference.head_input import HeadInput
from ovseg.inference.windows import InferenceSettings
from ovseg.masks.proposer import MaskProposals, Proposer
from ovseg.masks.resize import large_first
from ovseg.models.clip import ClipEncoder
from ovseg.registry import HEADS, REFINERS, register_proposer
from ovseg.utils.plain_data import build, check_keys

__all__ = ["ComponentProposer", "connected_parts"]


@register_proposer("ComponentProposer")
class ComponentProposer(Proposer):
    """Segments by another head on the same CLIP and proposes the parts, 8-connected.

    What is smaller than `min_area`, or beyond the `most` largest, is put together: one more mask
    a class, so that every pixel is in some mask. The class logits of a mask are the logarithms of
    the head's mean probabilities on it; "no object" has none.

    Args:
        head: a type of `ovseg.registry.HEADS` and its arguments.
        windows: how windows are laid over the image: `mode`, `crop_size`, `stride` and
            `cell_alignment` of `ovseg.inference.windows.InferenceSettings`.
        refiner: sharpens the segmentation before it is taken apart: a type of
            `ovseg.registry.REFINERS` and its arguments; None for none.
        min_area: smallest part, as a share of the image; in [0, 1).
        most: number of parts at most.

    Raises:
        ConfigError: a setting out of its range.
    """

    def __init__(
        self,
        head: Mapping[str, Any],
        windows: Mapping[str, Any] | None = None,
        *,
        refiner: Mapping[str, Any] | None = None,
        min_area: float = 0.001,
        most: int = 100,
    ) -> None:
        super().__init__()
        if not 0 <= min_area < 1 or most < 1:
            raise ConfigError(
                f"min_area {min_area}, most {most}",
                where="decode_head.proposer",
                expected="an area from 0 to below 1, and at least 1 part",
            )
        where = "decode_head.proposer.windows"
        given = check_keys(windows or {}, ("mode", "crop_size", "stride", "cell_alignment"), where)
        self.head = head
        self.windows = windows
        self.refiner = refiner
        self.min_area = min_area
        self.most = most
        self.dense = build(head, HEADS, "decode_head.proposer.head")
        self.settings = InferenceSettings(**given)
        where = "decode_head.proposer.refiner"
        self.sharpen = None if refiner is None else build(refiner, REFINERS, where).eval()

    def check(self, clip: ClipEncoder) -> None:
        """Refuse an encoder that the head cannot work with."""
        self.dense.check(clip)

    def to_precision(self, precision: str) -> ComponentProposer:
        """Cast towers of the head's and the refiner's own, in place."""
        self.dense.to_precision(precision)
        if self.sharpen is not None:
            self.sharpen.to_precision(precision)
        return self

    def propose(self, inputs: HeadInput) -> MaskProposals:
        """Return the parts; see `Proposer`."""
        labels, probs = self._segment(inputs)
        parts = connected_parts(labels, self.min_area * labels.size, self.most)
        index = torch.from_numpy(parts).to(probs.device)
        numbers = torch.arange(int(parts.max()) + 1, device=probs.device)
        logits = _mean_inside(index, probs).clamp_min(torch.finfo(torch.float32).tiny).log()
        return MaskProposals(
            index == numbers.view(-1, 1, 1), functional.pad(logits, (0, 1), value=float("-inf"))
        )

    def _segment(self, inputs: HeadInput) -> tuple[np.ndarray, Tensor]:
        """Classes (h, w) of the pixels, and probabilities (C, cells, cells) at the patches."""
        clip, size, prompts = inputs.clip, inputs.size, len(inputs.text_embeddings)
        settings = self.settings.fit_patch(clip.patch_size)
        inputs = replace(inputs, grid=settings.windows(size))
        scores, grid = score_image(self.dense, inputs, settings, size)
        options = self.dense.decode_options(self.settings.cell_alignment)
        merged = replace(options, prompt_class=_prompt_classes(inputs))
        found = decode(scores, grid, size, merged, want_scores=False)
        if self.sharpen is not None:
            wanted = ImageMaps(scores, grid, size, merged)
            found = self.sharpen.refine(to_pixels(inputs.image_tensor), found, wanted)
        cells = -(-size[0] // clip.patch_size), -(-size[1] // clip.patch_size)
        return found.labels, maps(scores, grid, cells, range(prompts), options)


def connected_parts(labels: np.ndarray, min_area: float, most: int) -> np.ndarray:
    """Number the 8-connected parts of a label map, the largest first.

    Parts that are too small or too many get one number a class, behind the others.

    Args:
        labels: (h, w) classes.
        min_area: smallest area, in pixels.
        most: number of parts at most, those put together not counted.

    Returns:
        (h, w) int64, 0 and following without gaps.

    Example:
        >>> connected_parts(np.array([[1, 1, 0], [1, 0, 0], [1, 1, 2]]), 2, 9).tolist()
        [[0, 0, 1], [0, 1, 1], [0, 0, 2]]
    """
    import cv2

    parts = np.zeros(labels.shape, np.int64)
    areas: list[int] = []
    owners: list[int] = []
    for label in np.unique(labels).tolist():
        mask = (labels == label).astype(np.uint8)
        count, found, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        inside = found > 0
        parts[inside] = found[inside] - 1 + len(areas)
        areas += stats[1:, cv2.CC_STAT_AREA].tolist()
        owners += [label] * (count - 1)
    kept = large_first(torch.tensor(areas), min_area, most).numpy()
    rest = np.setdiff1d(np.arange(len(areas)), kept)
    numbers = np.empty(len(areas), np.int64)
    numbers[kept] = np.arange(len(kept))
    numbers[rest] = len(kept) + np.unique(np.array(owners)[rest], return_inverse=True)[1]
    return numbers[parts]


def _mean_inside(index: Tensor, probs: Tensor) -> Tensor:
    """Mean (N, C) of maps (C, rows, columns) over the parts that `index` (h, w) numbers."""
    (height, width), (rows, columns) = index.shape, probs.shape[1:]
    y = torch.arange(height, device=index.device) * rows // height
    x = torch.arange(width, device=index.device) * columns // width
    cell = y[:, None] * columns + x
    shares = (
        (index * rows * columns + cell)
        .flatten()
        .bincount(minlength=(int(index.max()) + 1) * rows * columns)
    )
    shares = shares.view(-1, rows * columns).float()
    return shares @ probs.flatten(1).T / shares.sum(1, keepdim=True)


def _prompt_classes(inputs: HeadInput) -> list[int]:
    """Class of each row of the text; rows beyond the vocabulary's are classes of their own."""
    known = [] if inputs.vocabulary is None else list(inputs.vocabulary.prompt_class)
    first = max(known, default=-1) + 1
    return known + [first + i for i in range(len(inputs.text_embeddings) - len(known))]
