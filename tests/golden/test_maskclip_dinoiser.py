"""Dense features of MaskCLIP, and CLIP-DINOiser's inner tokens, against the references' arrays."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ovseg.models.clip import ClipEncoder, build_clip
from tests.golden.conftest import cases, load_npz

FEATURES = {"atol": 1e-4, "rtol": 0.0}
COSINES = {"atol": 1e-5, "rtol": 0.0}
VARIANTS = {"": {"act_layer": "gelu", "ln_eps": 1e-6}, "_quick": {"act_layer": "quick_gelu"}}


@cache
@torch.inference_mode(False)  # it is kept for tests that need gradients
def encoder(folder: Path, variant: str | None) -> ClipEncoder:
    """The tiny CLIP as MaskCLIP runs it ("" or "_quick"), or as it is (None: CLIP-DINOiser)."""
    files = (folder / "tiny_clip.json", folder / "tiny_clip.safetensors")
    if variant is None:
        return build_clip(*files)
    return build_clip(*files, normalization="imagenet", pad_mode="after", **VARIANTS[variant])


def in_unit_range(case: dict[str, Tensor], clip: ClipEncoder) -> Tensor:
    """Images in [0, 1] of a case whose `image` is normalized."""
    return case["image"] * clip.std + clip.mean


def tensors(path: Path) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in load_npz(path).items()}


def close(actual: Tensor, expected: Tensor, tolerance: dict[str, float]) -> None:
    torch.testing.assert_close(actual, expected, **tolerance)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "mc_dense_*"))
@torch.inference_mode()
def test_maskclip_dense(path: Path, variant: str) -> None:
    case, clip = tensors(path), encoder(path.parent, variant)
    backbone_tokens = clip.run_backbone(in_unit_range(case, clip))
    dense = clip.dense_features(backbone_tokens, "value", keys=True)
    last = clip.tower.last
    queries = last.project_keys(last.query(last.norm(backbone_tokens.tokens[:, 1:])))
    found = {
        "v": dense.tokens,
        "k": dense.keys,
        "q": queries,
        "feat": dense.features,
        "x_last": clip.dense_features(backbone_tokens, "vanilla").tokens,
    }
    for name, actual in found.items():
        if name + variant in case:
            close(actual, case[name + variant], FEATURES)


@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "cd_maskclip_*"))
@torch.inference_mode()
def test_clip_dinoiser_maskclip(path: Path) -> None:
    case, clip = tensors(path), encoder(path.parent, None)
    images = case["image"]
    height, width = images.shape[-2:]
    padded = clip.pad_and_normalize(images)
    close(padded * clip.std + clip.mean, case["image_padded"], {"atol": 1e-6, "rtol": 0.0})
    assert padded.shape[-2] - height < clip.patch_size
    assert padded.shape[-1] - width < clip.patch_size
    backbone_tokens = clip.run_backbone(images)
    dense = clip.dense_features(backbone_tokens, "value")
    close(backbone_tokens.tokens, case["last_block_input"], FEATURES)
    close(dense.tokens, case["v"], FEATURES)
    close(dense.features, case["feat"], FEATURES)
    unit = normalize(dense.features, dim=1, eps=0)
    cosine = torch.einsum("behw,ke->bkhw", unit, case["text"])
    close(cosine, case["cosine"], COSINES)


@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "cd_trained_*"))
@torch.inference_mode()
def test_clip_dinoiser_inner_tokens(path: Path) -> None:
    case, clip = tensors(path), encoder(path.parent, None)
    backbone_tokens = clip.run_backbone(case["image"], return_intermediates=["ln_2@-3"])
    close(backbone_tokens.intermediates["ln_2@-3"], case["clip_inter"], FEATURES)
