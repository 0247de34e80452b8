"""From scores on the windows' grids to a label for every pixel, strip by strip.

The plain way upsamples every window to its pixels, averages the overlaps, resizes to the
image's size, takes the softmax and the best prompt. That needs Q x H x W numbers. Up to the
softmax all of it is linear and separable, so a tile of the result is `A @ scores @ B.T` with two
small matrices; a running maximum and a running log-sum-exp over chunks of prompts do the rest. The
labels are those of the plain way and nothing of size Q x H x W exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import InputError
from ovseg.inference.scores import ScoreGrid
from ovseg.inference.tiles import DecodeOptions, Tiles
from ovseg.inference.windows import WindowGrid, check_threshold

__all__ = ["DecodeOptions", "Decoded", "ImageMaps", "decode", "maps"]


@dataclass(frozen=True)
class Decoded:
    """A label and a score for every pixel of an image.

    Attributes:
        labels: (H, W) index of the class, in the smallest of uint8, int16, int32 that holds all.
        scores: (H, W) float32 in [0, 1], the winning class's probability; None if not asked for.
    """

    labels: np.ndarray
    scores: np.ndarray | None


@torch.no_grad()
def decode(
    scores: ScoreGrid,
    grid: WindowGrid,
    out_size: tuple[int, int],
    options: DecodeOptions | None = None,
    *,
    threshold: float = 0.0,
    background: int | None = None,
    want_scores: bool = True,
) -> Decoded:
    """Label every pixel.

    A class has the probability of its best prompt. Where prompts tie, the first one wins.

    Args:
        scores: scores of Q prompts on the cells of the windows.
        grid: where the windows lie in the network's image.
        out_size: (H, W) of the result.
        options: what the scores are, and how they are read.
        threshold: pixels whose best probability is lower become `background`; in [0, 1].
        background: that class; None is class 0.
        want_scores: also return the probabilities.

    Raises:
        ConfigError: a setting out of its range.
        InputError: scores that do not fit the windows or the classes.
    """
    if not 0 <= threshold <= 1:
        check_threshold(threshold)  # says what is wrong
    options = options or DecodeOptions()
    classes = _class_table(scores, options.prompt_class)
    work = Tiles(scores, grid, out_size, options)
    need_scores = want_scores or threshold > 0
    labels = np.empty(out_size, _label_type(int(classes.max()) + 1))
    confidence = np.empty(out_size, np.float32) if want_scores else None
    classes = classes.to(scores.device)
    for tile in work:
        best = work.reduce(tile, with_norm=need_scores)
        label = classes[best.prompt]
        if need_scores:
            value = work.probability(best)
            if threshold > 0:
                label = label.masked_fill(value < threshold, background or 0)
            if confidence is not None:
                confidence[tile.place] = tile.cut(value)
        labels[tile.place] = tile.cut(label)
    return Decoded(labels, confidence)


@torch.no_grad()
def maps(
    scores: ScoreGrid,
    grid: WindowGrid,
    out_size: tuple[int, int],
    wanted: Sequence[int],
    options: DecodeOptions | None = None,
) -> Tensor:
    """Return the probability maps of some classes, as `decode` sees them.

    Args:
        scores: scores of Q prompts on the cells of the windows.
        grid: where the windows lie in the network's image.
        out_size: (H, W) of the result.
        wanted: the classes.
        options: as in `decode`.

    Returns:
        (len(wanted), H, W) float32 on the device of the scores.

    Raises:
        ConfigError: a setting out of its range.
        InputError: scores that do not fit the windows or the classes.
    """
    options = options or DecodeOptions()
    classes = _class_table(scores, options.prompt_class)
    work = Tiles(scores, grid, out_size, options)
    out = torch.empty(len(wanted), *out_size, device=scores.device)
    prompts = [(classes == c).nonzero().flatten().to(scores.device) for c in wanted]
    for tile in work:
        best = work.reduce(tile, with_norm=True) if options.score_type == "logits" else None
        for place, chosen in zip(out, prompts, strict=True):
            value = torch.zeros(work.tile[0] * work.tile[1], device=out.device)
            for part in chosen.split(work.prompts):
                values = work.values(tile, part)
                if best is not None and best.norm is not None:
                    values = (values - best.value).exp_() / best.norm
                value = torch.maximum(value, values.amax(0))
            place[tile.place] = value.view(work.tile)[tile.inner]
    return out


def _class_table(scores: ScoreGrid, prompt_class: Sequence[int] | None) -> Tensor:
    table = torch.arange(scores.prompts) if prompt_class is None else torch.tensor(prompt_class)
    if len(table) != scores.prompts or not len(table):
        raise InputError(f"{len(table)} prompts have a class, {scores.prompts} have scores")
    return table


def _label_type(classes: int) -> type[np.integer]:
    if classes <= 256:
        return np.uint8
    return np.int16 if classes <= 1 << 15 else np.int32


@dataclass(frozen=True)
class ImageMaps:
    """The scores of an image as maps of its pixels; called with classes it gives probabilities.

    Args:
        scores: scores of Q prompts on the cells of the windows.
        grid: where the windows lie.
        out_size: (H, W) of the maps.
        options: what the scores are, and how they are read.
    """

    scores: ScoreGrid
    grid: WindowGrid
    out_size: tuple[int, int]
    options: DecodeOptions = field(default_factory=DecodeOptions)

    @property
    def prompt_class(self) -> Sequence[int]:
        """(Q) class of each prompt."""
        given = self.options.prompt_class
        return range(self.scores.prompts) if given is None else given

    @property
    def softmax(self) -> bool:
        """Whether a softmax over the prompts follows."""
        return self.options.score_type == "logits"

    def __call__(self, classes: Sequence[int]) -> Tensor:
        """Return probability maps (K, H, W) float32; a class has that of its best prompt."""
        return maps(self.scores, self.grid, self.out_size, classes, self.options)

    @torch.no_grad()
    def before_softmax(self, low: int, high: int) -> Tensor:
        """Return the resized scores (high - low, H, W) of some prompts, float32.

        They are multiplied by the temperature where a softmax follows.
        """
        work = Tiles(self.scores, self.grid, self.out_size, self.options)
        out = torch.empty(high - low, *self.out_size, device=self.scores.device)
        for tile in work:
            for start in range(low, high, work.prompts):
                stop = min(start + work.prompts, high)
                values = work.values(tile, slice(start, stop)).unflatten(1, work.tile)
                place = slice(start - low, stop - low), *tile.place
                out[place] = values[(slice(None), *tile.inner)]
        return out
