"""Random numbers by place."""

from __future__ import annotations

import pickle
import random

import numpy as np
import torch
from mmseg.registry import DATA_SAMPLERS

from ovseg.mm.training.seeded import PositionedIndex, PositionedSampler, SeededDataset


def numbers():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


class Noise:
    """A data set of random numbers."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return (index, *numbers())


def test_a_place_travels_to_a_worker():
    draw = pickle.loads(pickle.dumps(PositionedIndex(3, 17)))  # noqa: S301 - just written
    assert (draw, draw.position) == (3, 17)


def test_an_item_depends_on_its_place():
    data = SeededDataset(Noise(), seed=1)
    assert data[PositionedIndex(2, 9)] == data[PositionedIndex(2, 9)]
    assert data[PositionedIndex(2, 9)] != data[PositionedIndex(2, 10)]


def test_a_sampler_can_start_in_the_middle():
    sampler = PositionedSampler({"type": "DefaultSampler", "shuffle": True}, Noise(), seed=3)
    assert isinstance(sampler, DATA_SAMPLERS.get("PositionedSampler"))
    whole = [(int(draw), draw.position) for draw in sampler]
    sampler.skip = 2
    assert [(int(draw), draw.position) for draw in sampler] == whole[2:]
    sampler.set_epoch(1)
    later = list(sampler)
    assert [draw.position for draw in later] == [5, 6, 7, 8, 9]
    assert sorted(later) == list(range(5))
