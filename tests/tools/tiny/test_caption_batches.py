import re

import numpy as np
import pytest
import torch

from ovseg.scenes import CLASSES
from ovseg.scenes.score import held_out_pairs
from tools.tiny.caption_batches import MEAN, SEEN_PAIRS, STD, caption_batch


def draw(store, seed, size=4):
    return caption_batch(store, np.random.default_rng(seed), size, 32, 8)


def is_faded(batch):
    """Which views have little color left: bands that differ by less than half of what is usual."""
    pixels = batch.images * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    return pixels.std(dim=1).mean(dim=(1, 2)) < 0.02


def test_a_batch_is_consistent_and_repeatable(store):
    batch, again = draw(store, 3), draw(store, 3)
    assert batch.images.shape == (4, 3, 32, 32)
    assert len(batch.captions) == 4
    assert set(batch.residual.tolist()) <= {0.0, 1.0}
    assert torch.allclose(batch.shares.sum(1), torch.ones(len(batch.shares)))
    assert len(set(batch.texts)) == len(batch.texts)
    assert batch.true[torch.arange(len(batch.target)), batch.target].all()
    assert not (batch.true & batch.unknown).any()
    assert torch.equal(batch.images, again.images)
    assert batch.captions == again.captions
    assert batch.texts == again.texts


def test_colors_are_unknown_exactly_in_faded_views(store):
    batch = draw(store, 1, 24)
    colored = torch.tensor([any(c in text.split() for c, _ in SEEN_PAIRS) for text in batch.texts])
    faded = batch.unknown.any(dim=1)
    assert colored.any()
    assert 0 < int(faded.sum()) < len(faded)
    assert torch.equal(batch.unknown, faded[:, None] & colored[None])
    assert not colored[batch.target[faded]].any()
    gray = is_faded(batch)
    assert all(bool(faded[batch.view == i].all()) for i in gray.nonzero().flatten().tolist())


def test_half_of_the_views_are_read_from_a_patch_when_asked(store):
    reader = draw(store, 2, 24).reader
    assert 0 < int((reader > 0).sum()) < 24
    assert int(reader.max()) <= 16
    rng = np.random.default_rng(2)
    assert not caption_batch(store, rng, 4, 32, 8, any_reader=False).reader.any()


def test_pairs_are_those_that_training_draws(store):
    batch = draw(store, 0)
    assert not {f"{color} {noun}" for color, noun in SEEN_PAIRS} & held_out_pairs()
    assert len(set(batch.pairs)) == len(batch.pairs) > 0
    for pair, number in zip(batch.pairs, batch.pair_class.tolist(), strict=True):
        assert tuple(pair.split(" ", 1)) in SEEN_PAIRS
        assert pair.endswith(f" {CLASSES[number]}")


@pytest.mark.parametrize("seed", range(3))
def test_no_caption_names_a_held_out_pair(store, seed):
    batch = draw(store, seed, 16)
    said = [*batch.captions, *batch.texts, *batch.pairs]
    held_out = re.compile(rf"\b({'|'.join(sorted(held_out_pairs()))})\b")
    assert not [text for text in said if held_out.search(text)]
