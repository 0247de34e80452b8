"""Pixel-adaptive mask refinement (Araslanov and Roth, CVPR 2020, section 4.2).

Every pixel repeatedly takes a mean over neighbors at several distances, weighted by how alike the
image is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.inference.decode import Decoded, ImageMaps
from ovseg.refine.base import Maps, Refiner
from ovseg.registry import register_refiner

if TYPE_CHECKING:
    from ovseg.models.sam_features import SamFeatures

__all__ = ["Pamr", "pamr"]

_STRIP_PIXELS = 1 << 20
_MAPS = 16
_MAP_ELEMENTS = 1 << 27


def pamr(
    image: Tensor, maps: Tensor, steps: int = 10, dilations: Sequence[int] = (8, 16)
) -> Tensor:
    """Refine maps of scores.

    Weights are the softmax over all neighbors of the channels' mean of -|difference| / (0.1 s),
    where s is the standard deviation over all 3 x 3 neighborhoods of the pixel together. The
    image is worked through in strips of rows, so that memory does not grow with its size.

    Args:
        image: (3, H, W) of any scale.
        maps: (K, H, W).
        steps: how often the mean is taken.
        dilations: distances of the neighbors, 8 at each.

    Returns:
        (K, H, W).
    """
    out = torch.empty_like(maps)
    height, width = maps.shape[1:]
    margin = steps * max(dilations)
    rows = max(_STRIP_PIXELS // width, margin, 1)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = max(top - margin, 0), min(bottom + margin, height)
        weights = _affinity(image[:, first:last], dilations)
        for low in range(0, len(maps), _MAPS):
            part = maps[low : low + _MAPS, first:last]
            for _ in range(steps):
                part = _mean(part, weights, dilations)
            out[low : low + _MAPS, top:bottom] = part[:, top - first : bottom - first]
    return out


def _neighbors(x: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Go through the shifted copies of x (C, H, W), 8 a dilation; borders repeat."""
    height, width = x.shape[1:]
    for step in dilations:
        wide = functional.pad(x[None], (step,) * 4, mode="replicate")[0]
        for y in (0, step, 2 * step):
            for x_ in (0, step, 2 * step):
                if (y, x_) != (step, step):
                    yield wide[:, y : y + height, x_ : x_ + width]


def _affinity(image: Tensor, dilations: Sequence[int]) -> Tensor:
    """Weights (neighbors, H, W), which sum to 1."""
    count = 9 * len(dilations)
    total = torch.zeros_like(image)
    squares = torch.zeros_like(image)
    for other in _neighbors(image, dilations):
        # Differences to the center: no cancellation in the variance of flat regions.
        difference = other - image
        total += difference
        squares += difference.square()
    variance = (squares - total.square() / count) / (count - 1)
    scale = 1 / (1e-8 + 0.1 * variance.clamp(min=0).sqrt())
    likeness = [-((other - image).abs() * scale).mean(0) for other in _neighbors(image, dilations)]
    return torch.stack(likeness).softmax(0)


def _mean(maps: Tensor, weights: Tensor, dilations: Sequence[int]) -> Tensor:
    out = torch.zeros_like(maps)
    for weight, other in zip(weights, _neighbors(maps, dilations), strict=True):
        out.addcmul_(other, weight)
    return out


@register_refiner("PamrRefiner")
class Pamr(Refiner):
    """Sharpens maps with the image, some at a time.

    Args:
        steps: how often the mean is taken.
        dilations: distances of the neighbors in pixels.
        on: what is sharpened: the "probabilities" of the classes that are there, or the "scores" of
            all prompts before the softmax (as in Trident's code), which takes longer.

    Raises:
        ConfigError: a setting out of its range.
    """

    def __init__(
        self, steps: int = 10, dilations: Sequence[int] = (8, 16), on: str = "probabilities"
    ) -> None:
        super().__init__()
        if steps < 1 or not dilations or min(dilations) < 1:
            raise ConfigError(
                f"steps {steps}, dilations {tuple(dilations)}",
                where="refiner",
                expected="at least 1 step and dilations of at least 1 pixel",
            )
        if on not in ("probabilities", "scores"):
            raise ConfigError(f"on {on!r}", where="refiner.on", expected="probabilities or scores")
        self.steps = steps
        self.dilations = tuple(dilations)
        self.on = on

    def refine(
        self,
        image_np: np.ndarray,
        decoded: Decoded,
        maps: Maps,
        *,
        threshold: float = 0.0,
        background: int = 0,
        sam_features: SamFeatures | None = None,
    ) -> Decoded:
        """Refine one result; see `Refiner`. With `on="scores"` the maps are `ImageMaps`."""
        image_tensor = (
            torch.from_numpy(np.ascontiguousarray(image_np)).permute(2, 0, 1).float() / 255
        )
        at_once = max(_MAP_ELEMENTS // decoded.labels.size, 1)
        if self.on == "scores":
            labels, best = self._from_scores(image_tensor, cast("ImageMaps", maps), at_once)
        else:
            labels, best = self._from_probabilities(image_tensor, decoded, maps, at_once)
        labels = labels.masked_fill(best < threshold, background)
        return Decoded(labels.numpy().astype(decoded.labels.dtype), best.clamp(0, 1).numpy())

    def _sharpen(self, image: Tensor, coarse: Tensor) -> Tensor:
        return pamr(image.to(coarse.device), coarse, self.steps, self.dilations).cpu()

    def _from_probabilities(
        self, image: Tensor, decoded: Decoded, maps: Maps, at_once: int
    ) -> tuple[Tensor, Tensor]:
        """(label, probability) of every pixel."""
        classes = torch.from_numpy(np.unique(decoded.labels))
        best = torch.full(decoded.labels.shape, float("-inf"))
        labels = torch.zeros(decoded.labels.shape, dtype=classes.dtype)
        for part in classes.split(at_once):
            top, place = self._sharpen(image, maps(part.tolist())).max(0)
            labels = torch.where(top > best, part[place], labels)
            best = torch.maximum(best, top)
        return labels, best

    def _from_scores(self, image: Tensor, maps: ImageMaps, at_once: int) -> tuple[Tensor, Tensor]:
        """(label, probability) of every pixel, by a running maximum and sum of exponentials."""
        best = torch.full(image.shape[1:], float("-inf"))
        norm = torch.full_like(best, float("-inf"))
        prompt = torch.zeros(best.shape, dtype=torch.long)
        for low in range(0, len(maps.prompt_class), at_once):
            high = min(low + at_once, len(maps.prompt_class))
            sharp = self._sharpen(image, maps.before_softmax(low, high))
            top, place = sharp.max(0)
            prompt = torch.where(top > best, place + low, prompt)
            best = torch.maximum(best, top)
            norm = torch.logaddexp(norm, sharp.logsumexp(0))
        labels = torch.tensor(maps.prompt_class)[prompt]
        return labels, (best - norm).exp() if maps.softmax else best
