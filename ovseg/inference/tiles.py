"""The tiles of a decode: resized scores of a rectangle, and their reduction over the prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import ConfigError, InputError
from ovseg.inference.resample import ResizeWeights, bilinear, chain, window_average
from ovseg.inference.scores import ScoreGrid
from ovseg.inference.windows import CELL_ALIGNMENTS, WindowGrid
from ovseg.utils.padding import margins_around

__all__ = ["SCORE_TYPES", "Best", "DecodeOptions", "Tile", "Tiles"]

Block = tuple[slice, slice, Tensor, Tensor]

SCORE_TYPES = ("logits", "probs")

_PROMPTS = 32
_CPU_ELEMENTS = 1 << 18
_GPU_ELEMENTS = 1 << 25
_TILE = (16, 32)
"""Tiles are multiples of this, so that equal scores stay equal through the matrix products."""


class Tile(NamedTuple):
    """A rectangle of the result and what is needed to compute it.

    Attributes:
        place: where it lies in the result.
        inner: the part of the tile that lies inside the result.
        scores: scores of the cells that it depends on.
        rows: (height, cells) weights of those cells' rows.
        columns: (cells, width) weights of their columns.
    """

    place: tuple[slice, slice]
    inner: tuple[slice, slice]
    scores: ScoreGrid
    rows: Tensor
    columns: Tensor

    def cut(self, values: Tensor) -> np.ndarray:
        """Return values (tile height * tile width) without what stands out of the image."""
        shape = len(self.rows), self.columns.shape[1]
        return values.view(shape)[self.inner].cpu().numpy()


class Best(NamedTuple):
    """A reduction over prompts, one number a pixel of a tile.

    Attributes:
        value: highest score (times the temperature).
        prompt: its prompt; the first of equal ones.
        norm: sum of exp(score - value) over all prompts; None for probabilities.
    """

    value: Tensor
    prompt: Tensor
    norm: Tensor | None


@dataclass(frozen=True)
class DecodeOptions:
    """What the scores are, and how they are read.

    Attributes:
        prompt_class: class of each prompt; None: every prompt is a class.
        score_type: "logits" are averaged, resized and go through a softmax over all prompts at
            every pixel; "probs" are averaged and resized, and that is the result.
        temperature: factor of logits inside the softmax; must be positive.
        cell_alignment: "stretch" lays a window's cells evenly over its pixels (the published
            methods); "exact" gives each cell `scores.patch` pixels and cuts off what was padding;
            "around" stretches them over the window with DeCLIP's padding around it, which is cut
            off.
        max_elements: how many intermediate numbers to hold at a time; None chooses.
    """

    prompt_class: Sequence[int] | None = None
    score_type: str = "logits"
    temperature: float = 1.0
    cell_alignment: str = "stretch"
    max_elements: int | None = None


class Tiles:
    """The tiles of one decode; arguments as in `ovseg.inference.decode.decode`.

    Attributes:
        tile: (height, width) of all tiles; the last ones stand out of the result.
        prompts: how many prompts are taken at a time.
    """

    def __init__(
        self,
        scores: ScoreGrid,
        grid: WindowGrid,
        out_size: tuple[int, int],
        options: DecodeOptions,
    ) -> None:
        _check_decode(scores, grid, out_size, options)
        self.scores = scores
        self.score_type = options.score_type
        self.factor = options.temperature if options.score_type == "logits" else 1.0
        max_elements = options.max_elements
        if max_elements is None:
            max_elements = _GPU_ELEMENTS if scores.device.type == "cuda" else _CPU_ELEMENTS
        self.prompts = min(scores.prompts, _PROMPTS)
        self.tile = _tile_size(max_elements // self.prompts, out_size)
        self.buffer = torch.empty(self.prompts, *self.tile, device=scores.device)
        exact = scores.patch if options.cell_alignment == "exact" else None
        around = options.cell_alignment == "around"
        axes = [
            _Axis(starts, size, crop, cells, out, exact, around)
            for starts, size, crop, cells, out in zip(
                (grid.tops, grid.lefts), grid.size, grid.crop, scores.shape, out_size, strict=True
            )
        ]
        self._blocks = [
            _blocks(axis, side, scores.device) for axis, side in zip(axes, self.tile, strict=True)
        ]

    def __iter__(self) -> Iterator[Tile]:
        """Go through the tiles row by row."""
        for y, inner_y, rows, row_weights in self._blocks[0]:
            for x, inner_x, columns, column_weights in self._blocks[1]:
                crop = self.scores.crop(rows, columns)
                yield Tile((y, x), (inner_y, inner_x), crop, row_weights, column_weights.T)

    def values(self, tile: Tile, prompts: slice | Tensor) -> Tensor:
        """Return the averaged, resized scores (n, pixels) of some prompts; valid until the next."""
        cells = tile.scores.scores_of(prompts)
        if self.factor != 1:
            cells = cells * self.factor
        count = len(cells)
        stretched = torch.bmm(cells, tile.columns.expand(count, -1, -1))
        out = self.buffer[:count]
        torch.bmm(tile.rows.expand(count, -1, -1), stretched, out=out)
        return out.flatten(1)

    def reduce(self, tile: Tile, *, with_norm: bool) -> Best:
        """Find the best prompt of every pixel, and the sum of exp(value - best) over all."""
        pixels = self.tile[0] * self.tile[1]
        device = self.scores.device
        best = torch.full((pixels,), float("-inf"), device=device)
        prompt = torch.zeros(pixels, dtype=torch.int32, device=device)
        norm = (
            torch.zeros(pixels, device=device)
            if with_norm and self.score_type == "logits"
            else None
        )
        for low in range(0, self.scores.prompts, self.prompts):
            high = min(low + self.prompts, self.scores.prompts)
            values = self.values(tile, slice(low, high))
            top = values.amax(0)
            better = top > best
            count = int(better.count_nonzero())
            if count:
                prompt = _note_first(prompt, values, top, better, count, low)
                top = torch.maximum(top, best)
                if norm is not None:
                    norm *= (best - top).exp_()
                best = top
            if norm is not None:
                norm += values.sub_(best).exp_().sum(0)
        return Best(best, prompt, norm)

    def probability(self, best: Best) -> Tensor:
        """Return the probability of the best prompt."""
        return best.value.clamp(0, 1) if best.norm is None else best.norm.reciprocal()


def _note_first(
    prompt: Tensor, values: Tensor, top: Tensor, better: Tensor, count: int, low: int
) -> Tensor:
    """Note the first row of `values` (n, P) that equals `top` (P) where it is better than before.

    Rows count from `low`. Of many prompts, later ones are better at few pixels: `count` tells.
    """
    if 4 * count > len(prompt):
        return torch.where(better, _first(values, top) + low, prompt)
    pixels = better.nonzero().squeeze(1)
    prompt[pixels] = _first(values[:, pixels], top[pixels]) + low
    return prompt


def _first(values: Tensor, top: Tensor) -> Tensor:
    """Index of the first row that equals the maximum; much faster than torch's argmax on CPU."""
    count = len(values)
    rank = torch.arange(count, 0, -1, dtype=torch.uint8, device=values.device).unsqueeze(1)
    return count - (values == top).view(torch.uint8).mul_(rank).amax(0).int()


def _check_decode(
    scores: ScoreGrid, grid: WindowGrid, out_size: tuple[int, int], options: DecodeOptions
) -> None:
    for name, valid in (("score_type", SCORE_TYPES), ("cell_alignment", CELL_ALIGNMENTS)):
        value = getattr(options, name)
        if value not in valid:
            raise ConfigError(f"unknown {name} {value!r}", where=name, expected=" or ".join(valid))
    if options.cell_alignment == "exact" and scores.patch is None:
        raise ConfigError(
            "these scores have no fixed patch", where="cell_alignment", fix="use 'stretch'"
        )
    temperature = options.temperature
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"temperature {temperature}", where="temperature", expected="above 0")
    if min(out_size) < 1:
        raise InputError(f"result of {out_size[0]} x {out_size[1]} pixels", expected="at least 1")
    if scores.shape[0] % len(grid.tops) or scores.shape[1] % len(grid.lefts):
        raise InputError(
            f"{scores.shape[0]} x {scores.shape[1]} cells do not divide into "
            f"{len(grid.tops)} x {len(grid.lefts)} windows"
        )


class _Axis(NamedTuple):
    """How an axis of the result depends on the cells of the windows along it.

    Attributes:
        starts: first pixel of each window.
        size: pixels of the network's image.
        crop: pixels of a window.
        cells: cells of all windows together.
        out: pixels of the result.
        patch: pixels of a cell, for exact alignment; None for the others.
        around: whether the cells also cover DeCLIP's padding around the window.
    """

    starts: tuple[int, ...]
    size: int
    crop: int
    cells: int
    out: int
    patch: int | None
    around: bool

    def weights(self) -> ResizeWeights:
        """Return the weights from the cells to the pixels of the result."""
        cells = self.cells // len(self.starts)
        before, after = margins_around(self.crop) if self.around else (0, 0)
        length = before + self.crop + after if self.patch is None else cells * self.patch
        window = bilinear(cells, length)
        seen = slice(before, before + self.crop)
        window = ResizeWeights(window.index[seen], window.weight[seen])
        average = window_average(self.starts, window, cells, self.size)
        return chain(bilinear(self.size, self.out), average)


def _tile_size(pixels: int, out_size: tuple[int, int]) -> tuple[int, int]:
    """Choose a tile of about that many pixels, twice as wide as high, within the result."""
    step_y, step_x = _TILE
    limit_y, limit_x = (-(-side // step) * step for side, step in zip(out_size, _TILE, strict=True))
    height = max(int((pixels / 2) ** 0.5) // step_y * step_y, step_y)
    width = min(max(pixels // min(height, limit_y) // step_x * step_x, step_x), limit_x)
    height = min(max(pixels // width // step_y * step_y, step_y), limit_y)
    return height, width


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _blocks(axis: _Axis, side: int, device: torch.device) -> tuple[Block, ...]:
    """Cut an axis into parts of `side` pixels; the same for all images of a size, so it is kept."""
    weights = axis.weights()
    blocks = []
    for start in range(0, len(weights), side):
        stop = min(start + side, len(weights))
        used, part = weights.block(start, stop, side)
        blocks.append(
            (slice(start, stop), slice(0, stop - start), used.to(device), part.to(device))
        )
    return tuple(blocks)
