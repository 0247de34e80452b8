"""SAM's encoder read apart, against segment_anything's own forward and the whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from ovseg.heads.sam_correlation import SamCorrelation, row_thresholds
from ovseg.models import sam_attention
from ovseg.models.sam import SamEncoder, build_sam
from tests.models.test_sam import SMALL


@pytest.fixture(scope="module")
def sam() -> SamEncoder:
    torch.manual_seed(0)
    encoder = build_sam(SMALL, None)
    for block in encoder.model.image_encoder.blocks:
        torch.nn.init.normal_(block.attn.rel_pos_h)
        torch.nn.init.normal_(block.attn.rel_pos_w)
    torch.nn.init.normal_(encoder.model.image_encoder.pos_embed)
    return encoder


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)


@pytest.fixture(params=[1, 1 << 23])
def few_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row at a time, or all of them."""
    monkeypatch.setattr(sam_attention, "_CPU_ELEMENTS", request.param)


@pytest.mark.usefixtures("few_rows")
@torch.no_grad()
def test_embedding_is_that_of_segment_anything(sam: SamEncoder, image: np.ndarray) -> None:
    ready = sam.prepare(image, 4)
    found = sam.encode(image, 4)
    expected = sam.model.image_encoder(ready.pixels)
    torch.testing.assert_close(found.embedding, expected, atol=1e-5, rtol=1e-5)
    assert (found.size, found.scaled) == (ready.size, ready.scaled)


@pytest.mark.usefixtures("few_rows")
@torch.no_grad()
def test_correlation_is_that_of_the_whole_matrices(sam: SamEncoder, image: np.ndarray) -> None:
    found = SamCorrelation(sam.encode(image), cos_fac=1.1)
    rows, columns = found.grid
    attention = found.attention[slice(None)][..., :rows, :columns].flatten(2)[:, found.places]
    unit = normalize(found.attention.value[:, found.places], dim=2)
    cosines = unit @ unit.transpose(1, 2)
    bound = (1.1 * cosines.mean((0, 2))).clamp(max=0.9)
    kept = torch.where(cosines > bound[:, None], attention, 0).mean(0)
    matrix = kept / kept.sum(1, keepdim=True)
    torch.testing.assert_close(found[slice(None)], matrix)
    tokens = torch.randn(len(matrix), 3)
    torch.testing.assert_close(found.attend(tokens), matrix @ tokens)


def test_partial_patches_are_dropped_or_filled(sam: SamEncoder, image: np.ndarray) -> None:
    assert sam.encode(image).scaled == (47, 64)
    assert sam.encode(image).valid == (2, 4)
    full = sam.encode(image, full_patches=True)
    assert full.scaled == (48, 64)
    assert full.valid == (3, 4)
    assert sam.encode(image[:1]).valid == (1, 4)


def test_features_tell_whether_they_are_of_the_whole_image(
    sam: SamEncoder, image: np.ndarray
) -> None:
    assert sam.has_seen(image, sam.encode(image))
    assert sam.has_seen(image, sam.encode(image, 4), 4)
    assert not sam.has_seen(image, sam.encode(image, 4))
    assert not sam.has_seen(image, sam.encode(image[:, :25]))
    assert not sam.has_seen(image, sam.encode(image, full_patches=True))
    assert not build_sam(SMALL, None).has_seen(image, sam.encode(image))


def test_nothing_is_kept_between_images(sam: SamEncoder, image: np.ndarray) -> None:
    before = set(vars(sam))
    assert sam.encode(image) is not sam.encode(image)
    assert set(vars(sam)) == before


def test_thresholds() -> None:
    values = normalize(torch.tensor([[[1.0, 0.0], [-1.0, 0.01], [-1.0, 0.0]]]), dim=2)
    mean = (values @ values.transpose(1, 2)).mean((0, 2))
    torch.testing.assert_close(row_thresholds(values, 0.5, True), 0.5 * mean)
    assert row_thresholds(values, 0.5, False)[0] == pytest.approx(0.6)
    assert row_thresholds(values, 9.0, True).amax() == pytest.approx(0.9)
