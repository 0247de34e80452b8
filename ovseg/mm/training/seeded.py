"""Randomness as a function of place: what item number p looks like depends on (seed, p) alone.

A resumed training, one with other workers and one on more processes then draw the same images
with the same crops, and no state of a random generator has to be saved.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_dist_info
from mmseg.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

__all__ = ["PositionedIndex", "PositionedSampler", "SeededDataset", "mix_seeds", "seed_everything"]


class PositionedIndex(int):
    """Index of an item that knows its place in the training.

    Attributes:
        position: how many items all processes together have drawn before this one.
    """

    position: int

    def __new__(cls, index: int, position: int) -> PositionedIndex:
        """Make an index with its place."""
        draw = super().__new__(cls, index)
        draw.position = position
        return draw

    def __getnewargs__(self) -> tuple[int, int]:  # type: ignore[override] # int takes one
        return int(self), self.position


def mix_seeds(*numbers: int) -> int:
    """Make one 32-bit seed of several numbers.

    Example:
        >>> mix_seeds(0, 1) == mix_seeds(0, 1), mix_seeds(0, 1) == mix_seeds(1, 0)
        (True, False)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def seed_everything(*numbers: int) -> None:
    """Seed Python's, numpy's and torch's generators (all devices)."""
    seed = mix_seeds(*numbers)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@DATASETS.register_module()
class SeededDataset(Dataset[Any]):
    """Loads the items of another data set, their randomness drawn from their place alone.

    Args:
        dataset: the data set, or its configuration.
        seed: of the training.
    """

    def __init__(self, dataset: Mapping[str, Any] | Dataset[Any], seed: int = 0) -> None:
        self.dataset: Any = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.seed = seed

    def __getattr__(self, name: str) -> Any:
        """Say of itself what the data set says: `metainfo`, `full_init`, ..."""
        if name == "dataset" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: int) -> Any:
        seed_everything(self.seed, getattr(draw, "position", int(draw)))
        return self.dataset[int(draw)]


@DATA_SAMPLERS.register_module()
class PositionedSampler(Sampler[int]):
    """Tells the items of another sampler their place, and can start in the middle.

    Args:
        sampler: configuration of a sampler of mmengine, such as `InfiniteSampler`.
        dataset: the data set.
        seed: of the order.

    Attributes:
        skip: how many items of this process the next pass leaves out at its start.
        endless: whether a pass never ends.
    """

    def __init__(
        self, sampler: Mapping[str, Any], dataset: Dataset[Any], seed: int | None = 0
    ) -> None:
        self._sampler = dict(sampler)
        self._options = {"dataset": dataset, "seed": seed}
        self._rank, self._processes = get_dist_info()
        self._epoch = 0
        inner: Any = self._build()
        self._length, self.endless = len(inner), isinstance(inner, InfiniteSampler)
        self.skip = 0

    def _build(self) -> Sampler[int]:
        """Make the sampler anew: those of mmengine go on where their last pass stopped."""
        return DATA_SAMPLERS.build(dict(self._sampler), default_args=self._options)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the places of the next pass."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[PositionedIndex]:
        inner = self._build()
        if hasattr(inner, "set_epoch"):
            inner.set_epoch(self._epoch)
        before = self._epoch * self._length
        skip, self.skip = self.skip, 0
        for place, index in islice(enumerate(inner), skip, None):
            yield PositionedIndex(index, (before + place) * self._processes + self._rank)
