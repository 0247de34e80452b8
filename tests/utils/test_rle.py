"""COCO's run-length code against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from ovseg.utils import rle


def check(labels):
    found = list(rle.regions(labels))
    assert [r.label for r in found] == np.unique(labels).tolist()
    for region in found:
        mask = np.asfortranarray(labels == region.label, dtype=np.uint8)
        expected = coco.encode(mask)
        assert region.counts == expected["counts"].decode()
        assert region.area == coco.area(expected) == mask.sum()
        assert region.bbox == tuple(coco.toBbox(expected))
        code = {"size": list(labels.shape), "counts": region.counts}
        np.testing.assert_array_equal(coco.decode(code), mask)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)
    )
)
def test_any_small_label_map(labels):
    check(labels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (700, 900)])
@pytest.mark.parametrize("block", [1, 50])
def test_long_runs(shape, block):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 3, [-(-side // block) for side in shape])
    labels = coarse.repeat(block, axis=0).repeat(block, axis=1)[: shape[0], : shape[1]]
    check(labels.astype(np.uint16))


def test_a_run_of_a_hundred_megapixels():
    runs = np.array([0, 100_000_000, 5, 3, 100_000_000, 1])
    code = {"size": [10_000, 20_001], "counts": rle.compress(runs)}
    assert coco.area(code) == 100_000_000 + 3 + 1
