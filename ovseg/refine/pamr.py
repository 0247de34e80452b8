"""Pixel-adaptive mask refinement (Araslanov and Roth, CVPR 2020, section 4.2).

Every pixel repeatedly takes a mean over neighbours at several distances, weighted by how alike the
picture is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.inference.decode import Decoded
from ovseg.refine.base import Maps, Refiner

__all__ = ["Pamr", "pamr"]

_STRIP_PIXELS = 1 << 20
_MAPS = 16
_MAP_NUMBERS = 1 << 27


def pamr(
    image: Tensor, maps: Tensor, steps: int = 10, dilations: Sequence[int] = (8, 16)
) -> Tensor:
    """Refine maps of scores.

    Weights are the softmax over all neighbours of the channels' mean of -|difference| / (0.1 s),
    where s is the standard deviation over all 3 x 3 neighbourhoods of the pixel together. The
    picture is worked through in strips of rows, so that memory does not grow with its size.

    Args:
        image: (3, H, W) of any scale.
        maps: (K, H, W).
        steps: how often the mean is taken.
        dilations: distances of the neighbours, 8 at each.

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


def _neighbours(x: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Go through the shifted copies of x (C, H, W), 8 a dilation; borders repeat."""
    height, width = x.shape[1:]
    for step in dilations:
        wide = functional.pad(x[None], (step,) * 4, mode="replicate")[0]
        for y in (0, step, 2 * step):
            for x_ in (0, step, 2 * step):
                if (y, x_) != (step, step):
                    yield wide[:, y : y + height, x_ : x_ + width]


def _affinity(image: Tensor, dilations: Sequence[int]) -> Tensor:
    """Weights (neighbours, H, W), which sum to 1."""
    count = 9 * len(dilations)
    total = torch.zeros_like(image)
    squares = torch.zeros_like(image)
    for other in _neighbours(image, dilations):
        # Differences to the centre: no cancellation in the variance of flat regions.
        difference = other - image
        total += difference
        squares += difference.square()
    variance = (squares - total.square() / count) / (count - 1)
    scale = 1 / (1e-8 + 0.1 * variance.clamp(min=0).sqrt())
    likeness = [-((other - image).abs() * scale).mean(0) for other in _neighbours(image, dilations)]
    return torch.stack(likeness).softmax(0)


def _mean(maps: Tensor, weights: Tensor, dilations: Sequence[int]) -> Tensor:
    out = torch.zeros_like(maps)
    for weight, other in zip(weights, _neighbours(maps, dilations), strict=True):
        out.addcmul_(other, weight)
    return out


class Pamr(Refiner):
    """Sharpens the probability maps of the classes that are there, some at a time.

    Args:
        steps: how often the mean is taken.
        dilations: distances of the neighbours in pixels.

    Raises:
        ConfigError: a setting below 1.
    """

    def __init__(self, steps: int = 10, dilations: Sequence[int] = (8, 16)) -> None:
        super().__init__()
        if steps < 1 or not dilations or min(dilations) < 1:
            raise ConfigError(
                f"steps {steps}, dilations {tuple(dilations)}",
                where="refiner",
                expected="at least 1 step and dilations of at least 1 pixel",
            )
        self.steps = steps
        self.dilations = tuple(dilations)

    def refine(
        self,
        picture: np.ndarray,
        decoded: Decoded,
        maps: Maps,
        *,
        threshold: float = 0.0,
        background: int = 0,
    ) -> Decoded:
        """Refine one result; see `Refiner`."""
        image = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255
        at_once = max(_MAP_NUMBERS // decoded.labels.size, 1)
        classes = torch.from_numpy(np.unique(decoded.labels))
        best = torch.full(decoded.labels.shape, float("-inf"))
        labels = torch.zeros(decoded.labels.shape, dtype=classes.dtype)
        for part in classes.split(at_once):
            coarse = maps(part.tolist())
            sharp = pamr(image.to(coarse.device), coarse, self.steps, self.dilations)
            top, place = (x.cpu() for x in sharp.max(0))
            labels = torch.where(top > best, part[place], labels)
            best = torch.maximum(best, top)
        labels.masked_fill_(best < threshold, background)
        return Decoded(labels.numpy(), best.clamp(0, 1).numpy())
