"""What a head says about one image: a score for every prompt and every cell of the windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import InputError
from ovseg.inference.windows import WindowGrid
from ovseg.utils.shapes import size_of

if TYPE_CHECKING:
    from ovseg.models.sam_features import SamFeatures

__all__ = [
    "BackgroundOverriddenScores",
    "CosineScores",
    "DenseScores",
    "MaskScores",
    "ScoreGrid",
    "best_scores",
    "join_windows",
]

_ROWS, _CELLS = 8, 32
"""Matrices padded to these sides give equal rows for equal words, whatever their place."""


def join_windows(values: Tensor, grid: WindowGrid) -> Tensor:
    """Put the maps of all windows side by side.

    Args:
        values: (windows, C, h, w), in the order of `WindowGrid.boxes`.
        grid: where the windows lie.

    Returns:
        (C, rows of windows * h, columns of windows * w).

    Raises:
        InputError: another number of windows.
    """
    rows, columns = len(grid.tops), len(grid.lefts)
    if values.ndim != 4 or len(values) != rows * columns:
        raise InputError(
            f"maps of shape {tuple(values.shape)} for {len(grid)} windows",
            expected="(windows, C, h, w)",
        )
    _, channels, height, width = values.shape
    tiled = values.view(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    return tiled.reshape(channels, rows * height, columns * width)


class ScoreGrid(ABC):
    """Scores of Q prompts at the cells of all windows, read in pieces.

    Attributes:
        prompts: Q.
        shape: (rows, columns) of cells, the windows side by side.
        device: where the scores lie.
        patch: pixels a cell spans in the network's image; None where that is not fixed.
        sam_features: what SAM said about the whole image, where the head has asked it: a refiner
            that needs the same takes it.
    """

    prompts: int
    shape: tuple[int, int]
    device: torch.device
    patch: int | None
    sam_features: SamFeatures | None = None

    @abstractmethod
    def scores_of(self, prompts: slice | Tensor) -> Tensor:
        """Return the scores (n, rows, columns), float32, of some prompts."""

    @abstractmethod
    def crop(self, rows: Tensor, columns: Tensor) -> ScoreGrid:
        """Return the scores of the given rows and columns of cells only."""

    def chunk(self, low: int, high: int) -> Tensor:
        """Return the scores (high - low, rows, columns), float32, of prompts low to high."""
        return self.scores_of(slice(low, high))


class DenseScores(ScoreGrid):
    """Scores that are there as numbers.

    Args:
        values: (Q, rows, columns).
        patch: see `ScoreGrid`.
    """

    def __init__(self, values: Tensor, patch: int | None = None) -> None:
        self.values = values
        self.prompts = len(values)
        self.shape = size_of(values)
        self.device = values.device
        self.patch = patch

    @classmethod
    def from_windows(
        cls, values: Tensor, grid: WindowGrid, patch: int | None = None
    ) -> DenseScores:
        """Build from one map a window, (windows, Q, h, w)."""
        return cls(join_windows(values, grid), patch)

    def scores_of(self, prompts: slice | Tensor) -> Tensor:
        """Return the scores of some prompts."""
        return self.values[prompts].float()

    def crop(self, rows: Tensor, columns: Tensor) -> DenseScores:
        """Return the scores of the given rows and columns of cells only."""
        return DenseScores(self.values.index_select(1, rows).index_select(2, columns), self.patch)


class CosineScores(ScoreGrid):
    """Scores computed when asked for: cosines of features and words, so Q may be large.

    Args:
        features: (E, rows, columns), any length; zero vectors score 0.
        text_embeddings: (Q, E) unit rows.
        softmax: temperature of a softmax over all prompts at every cell; None for plain cosines.
        patch: see `ScoreGrid`.
    """

    _norm: Tensor | None

    def __init__(
        self,
        features: Tensor,
        text_embeddings: Tensor,
        *,
        softmax: float | None = None,
        patch: int | None = None,
    ) -> None:
        cells = functional.normalize(features.float().permute(1, 2, 0), dim=-1)
        self.prompts = len(text_embeddings)
        padded = functional.pad(text_embeddings.float(), (0, 0, 0, -self.prompts % _ROWS))
        self._set(cells, padded, softmax, patch)
        if softmax is not None:
            self._norm = torch.full(self.shape, float("-inf"), device=self.device)
            for low in range(0, self.prompts, 256):
                logits = self._logits(slice(low, min(low + 256, self.prompts)))
                self._norm = torch.logaddexp(self._norm, logits.logsumexp(0))

    def _set(
        self, cells: Tensor, text_embeddings: Tensor, softmax: float | None, patch: int | None
    ) -> None:
        self._text, self._softmax, self._norm = text_embeddings, softmax, None
        self._unit = cells
        self.shape = cells.shape[0], cells.shape[1]
        self.device = cells.device
        self.patch = patch
        flat = cells.flatten(0, 1)
        self._cells = functional.pad(flat, (0, 0, 0, -len(flat) % _CELLS)).T

    def _logits(self, prompts: slice | Tensor) -> Tensor:
        if isinstance(prompts, slice):
            text = self._text[prompts.start : prompts.stop + -prompts.stop % _ROWS]
            count = prompts.stop - prompts.start
        else:
            count = len(prompts)
            text = functional.pad(self._text[prompts], (0, 0, 0, -count % _ROWS))
        scores = (text @ self._cells)[:count, : self.shape[0] * self.shape[1]]
        scores = scores if self._softmax is None else scores * self._softmax
        logits: Tensor = scores.unflatten(1, self.shape)
        return logits

    def scores_of(self, prompts: slice | Tensor) -> Tensor:
        """Return the scores of some prompts."""
        logits = self._logits(prompts)
        return logits if self._norm is None else (logits - self._norm).exp_()

    def crop(self, rows: Tensor, columns: Tensor) -> CosineScores:
        """Return the scores of the given rows and columns of cells only."""
        part = object.__new__(CosineScores)
        part.prompts = self.prompts
        part._set(self._unit[rows][:, columns], self._text, self._softmax, self.patch)
        if self._norm is not None:
            part._norm = self._norm[rows][:, columns]
        return part


_PROMPTS_AT_A_TIME = 256


def best_scores(scores: ScoreGrid) -> Tensor:
    """Return the score (rows, columns) of the best prompt of every cell."""
    best = torch.full(scores.shape, float("-inf"), device=scores.device)
    for low in range(0, scores.prompts, _PROMPTS_AT_A_TIME):
        some = scores.chunk(low, min(low + _PROMPTS_AT_A_TIME, scores.prompts))
        best = torch.maximum(best, some.amax(0))
    return best


class BackgroundOverriddenScores(ScoreGrid):
    """Scores in which some prompts are certain, score 1, at some cells; the others stay.

    Args:
        scores: probabilities.
        cells: (rows, columns) bool, where the prompts are certain.
        certain: (Q) bool, which prompts.
    """

    def __init__(self, scores: ScoreGrid, cells: Tensor, certain: Tensor) -> None:
        self.scores = scores
        self.cells = cells
        self.certain = certain.to(cells.device)
        self.prompts = scores.prompts
        self.shape = scores.shape
        self.device = scores.device
        self.patch = scores.patch

    def scores_of(self, prompts: slice | Tensor) -> Tensor:
        """Return the scores of some prompts."""
        changed = self.certain[prompts][:, None, None] & self.cells
        return self.scores.scores_of(prompts).masked_fill(changed, 1.0)

    def crop(self, rows: Tensor, columns: Tensor) -> BackgroundOverriddenScores:
        """Return the scores of the given rows and columns of cells only."""
        cells = self.cells.index_select(0, rows).index_select(1, columns)
        return BackgroundOverriddenScores(self.scores.crop(rows, columns), cells, self.certain)


class MaskScores(ScoreGrid):
    """Sum over masks of a prompt's score times the mask, computed where and when asked for.

    Args:
        masks: (N, rows, columns), bool or float from 0 to 1; its pixels are the cells.
        weights: (N, Q) score of each mask for each prompt.
    """

    patch = None

    def __init__(self, masks: Tensor, weights: Tensor) -> None:
        self.masks = masks
        self.weights = weights
        self.prompts = weights.shape[1]
        self.shape = size_of(masks)
        self.device = weights.device

    def scores_of(self, prompts: slice | Tensor) -> Tensor:
        """Return the scores of some prompts."""
        rows = self.weights[:, prompts].T @ self.masks.flatten(1).to(self.weights)
        scores: Tensor = rows.unflatten(1, self.shape)
        return scores

    def crop(self, rows: Tensor, columns: Tensor) -> MaskScores:
        """Return the scores of the given rows and columns of cells only."""
        part = self.masks.index_select(1, rows).index_select(2, columns)
        return MaskScores(part.to(self.weights), self.weights)
