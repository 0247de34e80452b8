"""Scores in which doubtful cells without an object belong to the background."""

from __future__ import annotations

import torch
from torch import Tensor

from ovseg.inference.scores import ScoreGrid

__all__ = ["CleanedScores", "best_scores"]

_QUERIES_AT_A_TIME = 256


def best_scores(scores: ScoreGrid) -> Tensor:
    """Return the score (rows, columns) of the best query of every cell."""
    best = torch.full(scores.shape, float("-inf"), device=scores.device)
    for low in range(0, scores.queries, _QUERIES_AT_A_TIME):
        some = scores.chunk(low, min(low + _QUERIES_AT_A_TIME, scores.queries))
        best = torch.maximum(best, some.amax(0))
    return best


class CleanedScores(ScoreGrid):
    """Scores in which some queries are certain, score 1, at some cells; the others stay.

    Args:
        scores: probabilities.
        cells: (rows, columns) bool, where the queries are certain.
        certain: (Q) bool, which queries.
    """

    def __init__(self, scores: ScoreGrid, cells: Tensor, certain: Tensor) -> None:
        self.scores = scores
        self.cells = cells
        self.certain = certain.to(cells.device)
        self.queries = scores.queries
        self.shape = scores.shape
        self.device = scores.device
        self.patch = scores.patch

    def take(self, queries: slice | Tensor) -> Tensor:
        """Return the scores of some queries."""
        changed = self.certain[queries][:, None, None] & self.cells
        return self.scores.take(queries).masked_fill(changed, 1.0)

    def band(self, rows: Tensor, columns: Tensor) -> CleanedScores:
        """Return the scores of the given rows and columns of cells only."""
        cells = self.cells.index_select(0, rows).index_select(1, columns)
        return CleanedScores(self.scores.band(rows, columns), cells, self.certain)
