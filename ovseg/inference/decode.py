"""From scores on the windows' grids to a label for every pixel, strip by strip.

The plain way upsamples every window to its pixels, averages the overlaps, resizes to the
picture's size, takes the softmax and the best query. That needs Q x H x W numbers. Up to the
softmax all of it is linear and separable, so a tile of the result is `A @ scores @ B.T` with two
small matrices; a running maximum and a running log-sum-exp over chunks of queries do the rest. The
labels are those of the plain way and nothing of size Q x H x W exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import ConfigError, InputError
from ovseg.inference.axis import Taps, bilinear, compose, mean_of_windows
from ovseg.inference.scores import ScoreGrid
from ovseg.inference.windows import WindowGrid

__all__ = ["ALIGNS", "KINDS", "Decoded", "check_threshold", "decode", "maps"]

KINDS = ("logits", "probs")
ALIGNS = ("stretch", "exact")

_QUERIES = 32
_CPU_NUMBERS = 1 << 18
_GPU_NUMBERS = 1 << 25
_TILE = (16, 32)
"""Tiles are multiples of this, so that equal scores stay equal through the matrix products."""


@dataclass(frozen=True)
class Decoded:
    """A label and a score for every pixel of a picture.

    Attributes:
        labels: (H, W) index of the class, in the smallest of uint8, int16, int32 that holds all.
        scores: (H, W) float32 in [0, 1], the winning class's probability; None if not asked for.
    """

    labels: np.ndarray
    scores: np.ndarray | None


def decode(
    scores: ScoreGrid,
    grid: WindowGrid,
    out_size: tuple[int, int],
    *,
    query_class: Sequence[int] | None = None,
    kind: str = "logits",
    temperature: float = 1.0,
    threshold: float = 0.0,
    background: int | None = None,
    want_scores: bool = True,
    align: str = "stretch",
    numbers: int | None = None,
) -> Decoded:
    """Label every pixel.

    A class has the probability of its best query. Where queries tie, the first one wins.

    Args:
        scores: scores of Q queries on the cells of the windows.
        grid: where the windows lie in the network's picture.
        out_size: (H, W) of the result.
        query_class: class of each query; None: every query is a class.
        kind: "logits" are averaged, resized and go through a softmax over all queries at every
            pixel; "probs" are averaged and resized, and that is the result.
        temperature: factor of logits inside the softmax; must be positive.
        threshold: pixels whose best probability is lower become `background`; in [0, 1].
        background: that class; None is class 0.
        want_scores: also return the probabilities.
        align: "stretch" lays a window's cells evenly over its pixels (the published methods);
            "exact" gives each cell `scores.patch` pixels and cuts off what was padding.
        numbers: how many intermediate numbers to hold at a time; None chooses.

    Raises:
        ConfigError: a setting out of its range.
        InputError: scores that do not fit the windows or the classes.
    """
    check_threshold(threshold)
    classes = _class_table(scores, query_class)
    work = _Work(scores, grid, out_size, kind, temperature, align, numbers)
    need_scores = want_scores or threshold > 0
    labels = np.empty(out_size, _label_type(int(classes.max()) + 1))
    confidence = np.empty(out_size, np.float32) if want_scores else None
    classes = classes.to(scores.device)
    for tile in work.tiles():
        best = work.reduce(tile, with_norm=need_scores)
        label = classes[best.query]
        if need_scores:
            value = work.probability(best)
            if threshold > 0:
                label = label.masked_fill(value < threshold, background or 0)
            if confidence is not None:
                confidence[tile.place] = tile.cut(value)
        labels[tile.place] = tile.cut(label)
    return Decoded(labels, confidence)


def maps(
    scores: ScoreGrid,
    grid: WindowGrid,
    out_size: tuple[int, int],
    wanted: Sequence[int],
    *,
    query_class: Sequence[int] | None = None,
    kind: str = "logits",
    temperature: float = 1.0,
    align: str = "stretch",
    numbers: int | None = None,
) -> Tensor:
    """Return the probability maps of some classes, as `decode` sees them.

    Args:
        scores: scores of Q queries on the cells of the windows.
        grid: where the windows lie in the network's picture.
        out_size: (H, W) of the result.
        wanted: the classes.
        query_class: class of each query; None: every query is a class.
        kind: as in `decode`.
        temperature: as in `decode`.
        align: as in `decode`.
        numbers: as in `decode`.

    Returns:
        (len(wanted), H, W) float32 on the device of the scores.

    Raises:
        ConfigError: a setting out of its range.
        InputError: scores that do not fit the windows or the classes.
    """
    classes = _class_table(scores, query_class)
    work = _Work(scores, grid, out_size, kind, temperature, align, numbers)
    out = torch.empty(len(wanted), *out_size, device=scores.device)
    queries = [(classes == c).nonzero().flatten().to(scores.device) for c in wanted]
    for tile in work.tiles():
        best = work.reduce(tile, with_norm=True) if kind == "logits" else None
        for place, chosen in zip(out, queries, strict=True):
            value = torch.zeros(work.tile[0] * work.tile[1], device=out.device)
            for part in chosen.split(work.queries):
                values = work.values(tile, part)
                if best is not None:
                    values = (values - best.value).exp_() / best.norm
                value = torch.maximum(value, values.amax(0))
            place[tile.place] = value.view(work.tile)[tile.inner]
    return out


def check_threshold(threshold: float) -> None:
    """Refuse a threshold outside [0, 1], NaN included.

    Raises:
        ConfigError: it is.
    """
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold {threshold}", where="threshold", expected="from 0 to 1")


def _class_table(scores: ScoreGrid, query_class: Sequence[int] | None) -> Tensor:
    table = torch.arange(scores.queries) if query_class is None else torch.tensor(query_class)
    if len(table) != scores.queries or not len(table):
        raise InputError(f"{len(table)} queries have a class, {scores.queries} have scores")
    return table


def _label_type(classes: int) -> type[np.integer]:
    if classes <= 256:
        return np.uint8
    return np.int16 if classes <= 1 << 15 else np.int32


class _Tile(NamedTuple):
    """A rectangle of the result and what is needed to compute it."""

    place: tuple[slice, slice]
    inner: tuple[slice, slice]
    band: ScoreGrid
    rows: Tensor
    columns: Tensor

    def cut(self, values: Tensor) -> np.ndarray:
        """Return values (tile height * tile width) without what stands out of the picture."""
        shape = len(self.rows), self.columns.shape[1]
        return values.view(shape)[self.inner].cpu().numpy()


class _Best(NamedTuple):
    """Running reduction over queries, a number a pixel of a tile."""

    value: Tensor
    query: Tensor
    norm: Tensor | None


class _Work:
    """The tiles of one decode."""

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
            _axis(*each, scores.patch if align == "exact" else None)
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

    def tiles(self) -> Iterator[_Tile]:
        """Go through the tiles row by row."""
        blocks = [
            list(_blocks(taps, side, self.scores.device))
            for taps, side in zip(self.axes, self.tile, strict=True)
        ]
        for y, inner_y, rows, row_weights in blocks[0]:
            for x, inner_x, columns, column_weights in blocks[1]:
                band = self.scores.band(rows, columns)
                yield _Tile((y, x), (inner_y, inner_x), band, row_weights, column_weights.T)

    def values(self, tile: _Tile, queries: slice | Tensor) -> Tensor:
        """Return the averaged, resized scores (n, pixels) of some queries; valid until the next."""
        cells = tile.band.take(queries)
        if self.factor != 1:
            cells = cells * self.factor
        count = len(cells)
        stretched = torch.bmm(cells, tile.columns.expand(count, -1, -1))
        out = self.buffer[:count]
        torch.bmm(tile.rows.expand(count, -1, -1), stretched, out=out)
        return out.flatten(1)

    def reduce(self, tile: _Tile, *, with_norm: bool) -> _Best:
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
        return _Best(best, query, norm)

    def probability(self, best: _Best) -> Tensor:
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
    starts: tuple[int, ...], size: int, crop: int, cells: int, out: int, patch: int | None
) -> Taps:
    cells //= len(starts)
    window = bilinear(cells, crop if patch is None else cells * patch)
    window = Taps(window.index[:crop], window.weight[:crop])
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
