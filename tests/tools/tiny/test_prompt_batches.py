"""Prompts from drawn scenes: where they lie, what the coarse masks hold, and wrong ones."""

import numpy as np
import pytest
import torch

from tools.tiny.prompt_batches import KINDS, MASK_FACTOR, prompt_batch
from tools.tiny.scene_store import SceneStore


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    store = SceneStore(tmp_path_factory.mktemp("prompts"), range(4), 64)
    return prompt_batch(store, np.random.default_rng(0), 24)


def prompts(batch):
    """Mask, point, box and coarse mask of every prompt."""
    for rows in zip(batch.masks, batch.points, batch.boxes, batch.coarse, strict=True):
        yield from zip(*rows, strict=True)


def test_shapes_and_kinds(batch):
    assert batch.images.shape == (24, 3, 64, 64)
    assert all(set(use) <= set(KINDS) and use for use in batch.use)
    assert KINDS in batch.use
    for masks, coarse in zip(batch.masks, batch.coarse, strict=True):
        assert 1 <= len(masks) <= 6
        assert coarse.shape == (len(masks), 1, 32, 32)


def test_points_lie_in_boxes_where_the_coarse_mask_is_strongest(batch):
    for _, ((x, y),), box, coarse in prompts(batch):
        assert (box[:2] <= torch.stack([x, y])).all()
        assert (torch.stack([x, y]) <= box[2:]).all()
        assert 0 <= coarse.min() <= coarse.max() <= MASK_FACTOR


def test_most_prompts_see_their_region_and_some_fit_none(batch):
    masks = [mask for mask, *_ in prompts(batch)]
    wrong = [not mask.any() for mask in masks]
    assert 0.1 < np.mean(wrong) < 0.45
    hits = [bool(mask[int(y), int(x)]) for mask, ((x, y),), *_ in prompts(batch) if mask.any()]
    assert np.mean(hits) > 0.6
