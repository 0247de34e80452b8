"""DINO, FOUND and the pooling of CLIP-DINOiser against the references' arrays."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from ovseg.heads.affinity import affinity, affinity_pool, cut_below
from ovseg.models.dino import DinoEncoder, build_dino
from ovseg.models.found import FoundEncoder, build_found, coarse_background
from tests.golden.conftest import cases
from tests.golden.test_maskclip_dinoiser import close, tensors

FAMILY = "maskclip_dinoiser"
FEATURES = {"atol": 1e-4, "rtol": 0.0}
EXACT = {"atol": 1e-5, "rtol": 0.0}


@cache
def dino(folder: Path) -> DinoEncoder:
    return build_dino(folder / "tiny_dino.json", folder / "tiny_dino.safetensors")


@cache
def found(folder: Path) -> FoundEncoder:
    return build_found(folder / "tiny_found.json", folder / "tiny_found.safetensors")


def padded(case: dict[str, Tensor], folder: Path) -> Tensor:
    """Images as the head hands them to the other towers: full patches of CLIP."""
    patch = json.loads((folder / "tiny_clip.json").read_text())["vision_cfg"]["patch_size"]
    height, width = case["image"].shape[-2:]
    return pad(case["image"], (0, -width % patch, 0, -height % patch))


@pytest.mark.parametrize("path", cases(FAMILY, "cd_direct_*"))
@torch.inference_mode()
def test_dino(path: Path) -> None:
    case, model = tensors(path), dino(path.parent)
    images = padded(case, path.parent)
    for part in "vkq":
        if f"dino_feats_{part}" in case:
            unit = normalize(model(images, part).flatten(2), dim=1)
            close(unit, case[f"dino_feats_{part}"], FEATURES)
    correlations = cut_below(affinity(model(images, "v")), 0.2)
    close(correlations.unflatten(2, case["dino_corrs"].shape[2:]), case["dino_corrs"], EXACT)


@pytest.mark.parametrize("path", cases(FAMILY, "cd_direct_*"))
@torch.inference_mode()
def test_found(path: Path) -> None:
    case, model = tensors(path), found(path.parent)
    images = padded(case, path.parent)
    logits = model(images)
    close(logits, case["found_logits"], FEATURES)
    close(logits.sigmoid(), case["found_soft"], EXACT)
    grid = tuple(case["found_resized"].shape[2:])
    close(model.foreground(images, grid), case["found_resized"], EXACT)


@pytest.mark.parametrize("path", cases(FAMILY, "found_bkg*"))
def test_coarse_background(path: Path) -> None:
    case = tensors(path)
    for name, reweight in (("bkg_mask", True), ("bkg_mask_noweights", False)):
        mask = coarse_background(
            case["attention"], case["feats"], tuple(case["hw"].tolist()), reweight=reweight
        )
        assert torch.equal(mask, case[name])


@pytest.mark.parametrize("path", cases(FAMILY, "cd_pool*"))
def test_weighted_pool(path: Path) -> None:
    case = tensors(path)
    names = [name.removeprefix("out") for name in case if name.startswith("out")]
    assert names
    for number in names:
        stored = case[f"corrs{number}"]
        pooled = affinity_pool(case[f"feats{number}"], stored.flatten(2), tuple(stored.shape[2:]))
        close(pooled, case[f"out{number}"], EXACT)
