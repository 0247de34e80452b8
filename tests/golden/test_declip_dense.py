"""Dense read-outs of the three towers against the arrays of DeCLIP's own code."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from ovseg.models.clip import ClipEncoder
from ovseg.models.image_encoder import BackboneTokens
from ovseg.models.last_block import split_heads
from ovseg.models.position_embedding import resize_positions
from tests.golden.conftest import cases, load_npz
from tests.golden.declip_towers import eva_encoder, siglip_encoder, vit_encoder

TOLERANCE = {"atol": 1e-4, "rtol": 0.0}
READOUT = {"maskclip": "value"}
SCALES = {"scaled": "sqrt_d", "unscaled": "none"}

vit, eva, siglip = cache(vit_encoder), cache(eva_encoder), cache(siglip_encoder)


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in load_npz(path).items()}


def close(actual: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    torch.testing.assert_close(actual, expected, msg=lambda text: f"{name}: {text}", **TOLERANCE)


def trunk_with_entry(
    encoder: ClipEncoder, image: torch.Tensor
) -> tuple[torch.Tensor, BackboneTokens]:
    """What enters the first block, and the backbone."""
    visual = encoder.model.visual
    blocks = visual.trunk.blocks if hasattr(visual, "trunk") else visual.transformer.resblocks
    seen = []
    hook = blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    backbone_tokens = encoder.tower.run_backbone(image)
    hook.remove()
    return seen[0], backbone_tokens


def check_inner(encoder: ClipEncoder, case: dict[str, torch.Tensor]) -> None:
    """Arrays inside the tower that a case may hold."""
    entered, trunk = trunk_with_entry(encoder, case["image"])
    last = encoder.tower.last
    normed = last.norm(trunk.tokens)
    found = {
        "tok_in": entered,
        "last_ln1": normed,
        "last_norm1": normed,
        "last_q": split_heads(last.query(normed), last.heads),
        "last_k": split_heads(last.key(normed), last.heads),
        "last_v": split_heads(last.value(normed), last.heads),
    }
    for name in found.keys() & case.keys():
        close(found[name], case[name], name)
    if "tok_pre_last" in case:
        close(trunk.tokens, case["tok_pre_last"], "tok_pre_last")
        table = encoder.model.state_dict()[encoder.tower.position_key]
        table = resize_positions(table.reshape(-1, table.shape[-1]), trunk.grid)
        close(table, case["pos_embed_used"], "pos_embed_used")
    if "image_features" in case:
        close(encoder.tower.pooled(trunk), case["image_features"], "image_features")
    for name, expected in case.items():
        if name.startswith("context_"):
            close(encoder.tower.heads_of(trunk, name[-1]), expected, name)


@pytest.mark.parametrize("path", cases("declip", "vit_dense_*"))
@torch.inference_mode()
def test_vit(path: Path) -> None:
    encoder, case = vit(path.parent), tensors(path)
    backbone_tokens = encoder.tower.run_backbone(case["image"])
    check_inner(encoder, case)
    for name, expected in case.items():
        kind, _, mode = name.partition("_")
        if kind == "dense":
            dense = encoder.dense_features(backbone_tokens, READOUT.get(mode, mode))
            close(normalize(dense.features, dim=1), expected, name)
        elif kind == "last" and mode in ("csa", "qq", "kk", "maskclip"):
            close(
                encoder.tower.attended_tokens(backbone_tokens, READOUT.get(mode, mode)),
                expected,
                name,
            )


@pytest.mark.parametrize("path", cases("declip", "eva_dense_*"))
@torch.inference_mode()
def test_eva(path: Path) -> None:
    encoder, case = eva(path.parent), tensors(path)
    backbone_tokens = encoder.tower.run_backbone(case["image"])
    check_inner(encoder, case)
    if "rope_cos" in case:
        expected = torch.cat([case["rope_sin"], case["rope_cos"]], dim=1)
        close(encoder.tower.last.rotary(backbone_tokens.grid), expected, "rope")
    for name, expected in case.items():
        kind, *rest = name.split("_")
        if kind not in ("dense", "last") or rest == ["norm1"]:
            continue
        mode, scale = READOUT.get(rest[0], rest[0]), SCALES.get(rest[-1].removesuffix("_l2"))
        scale = "none" if "unscaled" in rest else scale or "sqrt_d"
        if kind == "last":
            close(
                encoder.tower.attended_tokens(backbone_tokens, mode, attn_scale=scale),
                expected,
                name,
            )
            continue
        features = encoder.dense_features(backbone_tokens, mode, attn_scale=scale).features
        close(normalize(features, dim=1) if rest[-1] == "l2" else features, expected, name)


@pytest.mark.parametrize("path", cases("declip", "siglip_dense*"))
@torch.inference_mode()
def test_siglip(path: Path) -> None:
    encoder, case = siglip(path.parent), tensors(path)
    for size in [name.removeprefix("image_") for name in case if name.startswith("image_")]:
        backbone_tokens = encoder.tower.run_backbone(case[f"image_{size}"])
        dense = encoder.dense_features(backbone_tokens, "qq")
        close(dense.features.flatten(2).mT, case[f"dense_{size}"], f"dense_{size}")
        close(
            encoder.tower.heads_of(backbone_tokens, "q"), case[f"context_{size}"], f"context_{size}"
        )
        if backbone_tokens.grid == encoder.tower.native_grid:
            close(encoder.tower.pooled(backbone_tokens), case["pooled"], "pooled")
