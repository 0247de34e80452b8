"""Whole maps of one picture, computed when somebody asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ovseg.inference.decode import maps
from ovseg.inference.scores import ScoreGrid
from ovseg.inference.tiles import Tiles
from ovseg.inference.windows import WindowGrid

__all__ = ["PictureMaps"]


@dataclass(frozen=True)
class PictureMaps:
    """The scores of a picture as maps of its pixels; called with classes it gives probabilities.

    Args:
        scores: scores of Q queries on the cells of the windows.
        grid: where the windows lie.
        out_size: (H, W) of the maps.
        options: further arguments of `ovseg.inference.decode.maps`.
    """

    scores: ScoreGrid
    grid: WindowGrid
    out_size: tuple[int, int]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def query_class(self) -> Sequence[int]:
        """(Q) class of each query."""
        given = self.options.get("query_class")
        return range(self.scores.queries) if given is None else given

    @property
    def softmax(self) -> bool:
        """Whether a softmax over the queries follows."""
        return self.options.get("kind", "logits") == "logits"

    def __call__(self, classes: Sequence[int]) -> Tensor:
        """Return probability maps (K, H, W) float32; a class has that of its best query."""
        return maps(self.scores, self.grid, self.out_size, classes, **self.options)

    @torch.no_grad()
    def before_softmax(self, low: int, high: int) -> Tensor:
        """Return the resized scores (high - low, H, W) of some queries, float32.

        They are multiplied by the temperature where a softmax follows.
        """
        options = {"kind": "logits", "temperature": 1.0, "align": "stretch", "numbers": None}
        options |= {key: self.options[key] for key in options if key in self.options}
        work = Tiles(self.scores, self.grid, self.out_size, **options)
        out = torch.empty(high - low, *self.out_size, device=self.scores.device)
        for tile in work:
            for start in range(low, high, work.queries):
                stop = min(start + work.queries, high)
                values = work.values(tile, slice(start, stop)).unflatten(1, work.tile)
                place = slice(start - low, stop - low), *tile.place
                out[place] = values[(slice(None), *tile.inner)]
        return out
