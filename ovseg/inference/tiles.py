"""The tiles of a decode: resized scores of a rectangle, and their reduction over the queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import ConfigError, InputError
from ovseg.inference.resample import Taps, bilinear, compose, mean_of_windows
from ovseg.inference.scores import ScoreGrid
from ovseg.inference.windows import WindowGrid
from ovseg.utils.padding import margins_around

__all__ = ["ALIGNS", "KINDS", "Best", "Tile", "Tiles"]

KINDS = ("logits", "probs")
ALIGNS = ("stretch", "exact", "around")

_QUERIES = 32
_CPU_NUMBERS = 1 << 18
_GPU_NUMBERS = 1 << 25
_TILE = (16, 32)
"""Tiles are multiples of this, so that equal scores stay equal through the matrix products."""


class Tile(NamedTuple):
    """A rectangle of the result and what is needed to compute it.

    Attributes:
        place: where it lies in the result.
        inner: the part of the tile that lies inside the result.
        band: scores of the cells that it depends on.
        rows: (height, cells) weights of those cells' rows.
        columns: (cells, width) weights of their columns.
    """

    place: tuple[slice, slice]
    inner: tuple[slice, slice]
    band: ScoreGrid
    rows: Tensor
    columns: Tensor

    def cut(self, values: Tensor) -> np.ndarray:
        """Return values (tile height * tile width) without what stands out of the picture."""
        shape = len(self.rows), self.columns.shape[1]
        return values.view(shape)[self.inner].cpu().numpy()


class Best(NamedTuple):
    """A reduction over queries, one number a pixel of a tile.

    Attributes:
        value: highest score (times the temperature).
        query: its query; the first of equal ones.
        norm: sum of exp(score - value) over all queries; None for probabilities.
    """

    value: Tensor
    query: Tensor
    norm: Tensor | None


class Tiles:
    """The tiles of one decode; arguments as in `ovseg.inference.decode.decode`.

    Attributes:
        tile: (height, width) of all tiles; the last ones stand out of the result.
        queries: how many queries are taken at a time.
    """

    def __init__(
        self,
        scores: ScoreGrid,
        grid: WindowGrid,
        out_size: tuple[int, int],
        kind: str,
        temperature: float,
        align: str,
        numbers: int | None,
    ) -> None:
        _check(scores, grid, out_size, kind, temperature, align)
        self.scores = scores
        self.kind = kind
        self.factor = temperature if kind == "logits" else 1.0
        self.out_size = out_size
        self.axes = [
            _axis(*each, align, scores.patch)
            for each in zip(
                (grid.tops, grid.lefts),
                grid.size,
                grid.crop,
                scores.shape,
                out_size,
                strict=True,
            )
        ]
        if numbers is None:
            numbers = _GPU_NUMBERS if scores.device.type == "cuda" else _CPU_NUMBERS
        self.queries = min(scores.queries, _QUERIES)
        self.tile = _tile_size(numbers // self.queries, out_size)
        self.buffer = torch.empty(self.queries, *self.tile, device=scores.device)

    def __iter__(self) -> Iterator[Tile]:
        """Go through the tiles row by row."""
        blocks = [
            list(_blocks(taps, side, self.scores.device))
            for taps, side in zip(self.axes, self.tile, strict=True)
        ]
        for y, inner_y, rows, row_weights in blocks[0]:
            for x, inner_x, columns, column_weights in blocks[1]:
                band = self.scores.band(rows, columns)
                yield Tile((y, x), (inner_y, inner_x), band, row_weights, column_weights.T)

    def values(self, tile: Tile, queries: slice | Tensor) -> Tensor:
        """Return the averaged, resized scores (n, pixels) of some queries; valid until the next."""
        cells = tile.band.take(queries)
        if self.factor != 1:
            cells = cells * self.factor
        count = len(cells)
        stretched = torch.bmm(cells, tile.columns.expand(count, -1, -1))
        out = self.buffer[:count]
        torch.bmm(tile.rows.expand(count, -1, -1), stretched, out=out)
        return out.flatten(1)

    def reduce(self, tile: Tile, *, with_norm: bool) -> Best:
        """Find the best query of every pixel, and the sum of exp(value - best) over all."""
        pixels = self.tile[0] * self.tile[1]
        device = self.scores.device
        best = torch.full((pixels,), float("-inf"), device=device)
        query = torch.zeros(pixels, dtype=torch.int32, device=device)
        norm = torch.zeros(pixels, device=device) if with_norm and self.kind == "logits" else None
        for low in range(0, self.scores.queries, self.queries):
            high = min(low + self.queries, self.scores.queries)
            values = self.values(tile, slice(low, high))
            top = values.amax(0)
            better = top > best
            count = int(better.count_nonzero())
            if count:
                query = _note_first(query, values, top, better, count, low)
                top = torch.maximum(top, best)
                if norm is not None:
                    norm *= (best - top).exp_()
                best = top
            if norm is not None:
                norm += values.sub_(best).exp_().sum(0)
        return Best(best, query, norm)

    def probability(self, best: Best) -> Tensor:
        """Return the probability of the best query."""
        return best.value.clamp(0, 1) if best.norm is None else best.norm.reciprocal()


def _note_first(
    query: Tensor, values: Tensor, top: Tensor, better: Tensor, count: int, low: int
) -> Tensor:
    """Note the first row of `values` (n, P) that equals `top` (P) where it is better than before.

    Rows count from `low`. Of many queries, later ones are better at few pixels: `count` tells.
    """
    if 4 * count > len(query):
        return torch.where(better, _first(values, top) + low, query)
    pixels = better.nonzero().squeeze(1)
    query[pixels] = _first(values[:, pixels], top[pixels]) + low
    return query


def _first(values: Tensor, top: Tensor) -> Tensor:
    """Index of the first row that equals the maximum; much faster than torch's argmax on CPU."""
    count = len(values)
    rank = torch.arange(count, 0, -1, dtype=torch.uint8, device=values.device).unsqueeze(1)
    return count - (values == top).view(torch.uint8).mul_(rank).amax(0).int()


def _check(
    scores: ScoreGrid,
    grid: WindowGrid,
    out_size: tuple[int, int],
    kind: str,
    temperature: float,
    align: str,
) -> None:
    if kind not in KINDS:
        raise ConfigError(f"unknown kind {kind!r}", where="kind", expected=" or ".join(KINDS))
    if align not in ALIGNS:
        raise ConfigError(f"unknown align {align!r}", where="align", expected=" or ".join(ALIGNS))
    if align == "exact" and scores.patch is None:
        raise ConfigError("these scores have no fixed patch", where="align", fix="use 'stretch'")
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"temperature {temperature}", where="temperature", expected="above 0")
    if min(out_size) < 1:
        raise InputError(f"result of {out_size[0]} x {out_size[1]} pixels", expected="at least 1")
    if scores.shape[0] % len(grid.tops) or scores.shape[1] % len(grid.lefts):
        raise InputError(
            f"{scores.shape[0]} x {scores.shape[1]} cells do not divide into "
            f"{len(grid.tops)} x {len(grid.lefts)} windows"
        )


def _axis(
    starts: tuple[int, ...],
    size: int,
    crop: int,
    cells: int,
    out: int,
    align: str,
    patch: int | None,
) -> Taps:
    cells //= len(starts)
    before, after = margins_around(crop) if align == "around" else (0, 0)
    window = bilinear(cells, cells * patch if align == "exact" else before + crop + after)
    seen = slice(before, before + crop)
    window = Taps(window.index[seen], window.weight[seen])
    return compose(bilinear(size, out), mean_of_windows(starts, window, cells, size))


def _tile_size(pixels: int, out_size: tuple[int, int]) -> tuple[int, int]:
    """Choose a tile of about that many pixels, twice as wide as high, within the result."""
    step_y, step_x = _TILE
    limit_y, limit_x = (-(-side // step) * step for side, step in zip(out_size, _TILE, strict=True))
    height = max(int((pixels / 2) ** 0.5) // step_y * step_y, step_y)
    width = min(max(pixels // min(height, limit_y) // step_x * step_x, step_x), limit_x)
    height = min(max(pixels // width // step_y * step_y, step_y), limit_y)
    return height, width


def _blocks(
    taps: Taps, side: int, device: torch.device
) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    for start in range(0, len(taps), side):
        stop = min(start + side, len(taps))
        used, weights = taps.block(start, stop, side)
        yield slice(start, stop), slice(0, stop - start), used.to(device), weights.to(device)
