"""Scores that masks paint: a mask with a score for every query."""

from __future__ import annotations

from torch import Tensor

from ovseg.inference.scores import ScoreGrid

__all__ = ["PaintedScores"]


class PaintedScores(ScoreGrid):
    """Sum over masks of a query's score times the mask, computed where and when asked for.

    Args:
        masks: (N, rows, columns), bool or float from 0 to 1; its pixels are the cells.
        weights: (N, Q) score of each mask for each query.
    """

    patch = None

    def __init__(self, masks: Tensor, weights: Tensor) -> None:
        self.masks = masks
        self.weights = weights
        self.queries = weights.shape[1]
        self.shape = tuple(masks.shape[1:])
        self.device = weights.device

    def take(self, queries: slice | Tensor) -> Tensor:
        """Return the scores of some queries."""
        rows = self.weights[:, queries].T @ self.masks.flatten(1).to(self.weights)
        return rows.unflatten(1, self.shape)

    def band(self, rows: Tensor, columns: Tensor) -> PaintedScores:
        """Return the scores of the given rows and columns of cells only."""
        part = self.masks.index_select(1, rows).index_select(2, columns)
        return PaintedScores(part.to(self.weights), self.weights)
