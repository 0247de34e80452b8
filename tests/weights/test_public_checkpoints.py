"""Names and shapes of the checkpoints of EVA02-CLIP, DeCLIP and SigLIP, as they are published."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip import list_models
from torch import Tensor

from ovseg.errors import CheckpointError
from ovseg.models.clip import build_clip
from ovseg.models.clip_weights import suggest_model
from ovseg.weights.read import read_state_dict
from ovseg.weights.rename import to_open_clip
from tests.golden.conftest import golden_root
from tests.golden.declip_towers import eva_encoder

FAMILY = golden_root() / "declip"
EVA = {
    "EVA02-B-16": {"width": 768, "blocks": 12, "hidden": 2048, "grid": 14, "patch": 16, "out": 512},
    "EVA02-L-14-336": {
        "width": 1024, "blocks": 24, "hidden": 2730, "grid": 24, "patch": 14, "out": 768
    },
}  # fmt: skip
COUNTS = {"EVA02-B-16": (410, 26), "EVA02-L-14-336": (662, 50)}


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def open_clip_model(name: str) -> dict[str, Tensor]:
    config = open_clip.get_model_config(name)
    del config["custom_text"]
    with torch.device("meta"):
        return open_clip.CustomTextCLIP(**config).state_dict()


def public_eva(
    text: dict[str, Tensor],
    *,
    width: int,
    blocks: int,
    hidden: int,
    grid: int,
    patch: int,
    out: int,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors of an EVA02-CLIP file, and its tables of rotary positions."""
    state = {
        "visual.cls_token": meta(1, 1, width),
        "visual.pos_embed": meta(1, grid**2 + 1, width),
        "visual.patch_embed.proj.weight": meta(width, 3, patch, patch),
        "visual.patch_embed.proj.bias": meta(width),
        "visual.head.weight": meta(out, width),
        "visual.head.bias": meta(out),
        **affine("visual.norm", width),
        **text,
    }
    ropes = {f"visual.rope.freqs_{kind}": meta(grid**2, 64) for kind in ("cos", "sin")}
    for index in range(blocks):
        block = f"visual.blocks.{index}."
        for norm in ("norm1", "norm2", "attn.inner_attn_ln"):
            state |= affine(block + norm, width)
        state |= affine(f"{block}mlp.ffn_ln", hidden)
        for part in "qkv":
            state[f"{block}attn.{part}_proj.weight"] = meta(width, width)
        for name, shape in {
            "attn.q_bias": (width,),
            "attn.v_bias": (width,),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "mlp.w1.weight": (hidden, width),
            "mlp.w1.bias": (hidden,),
            "mlp.w2.weight": (hidden, width),
            "mlp.w2.bias": (hidden,),
            "mlp.w3.weight": (width, hidden),
            "mlp.w3.bias": (width,),
        }.items():
            state[block + name] = meta(*shape)
        ropes |= {f"{block}attn.rope.freqs_{kind}": meta(grid**2, 64) for kind in ("cos", "sin")}
    return state, ropes


def affine(name: str, width: int) -> dict[str, Tensor]:
    return {f"{name}.weight": meta(width), f"{name}.bias": meta(width)}


def shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


@pytest.mark.parametrize("name", EVA)
def test_eva_of_true_size(name: str) -> None:
    model = open_clip_model(name)
    text = {k: v for k, v in model.items() if not k.startswith("visual.")}
    state, ropes = public_eva(text, **EVA[name])
    assert (len(state), len(ropes)) == COUNTS[name]
    found = to_open_clip(state | ropes, set(model))
    assert shapes(found) == shapes(model)
    assert suggest_model(found, []) == name


def test_siglip_of_true_size() -> None:
    name, width, hidden = "ViT-SO400M-14-SigLIP-384", 1152, 4304
    model = open_clip_model(name)
    vision, text = "vision_model.", "text_model."
    state = {
        f"{vision}embeddings.patch_embedding.weight": meta(width, 3, 14, 14),
        f"{vision}embeddings.patch_embedding.bias": meta(width),
        f"{vision}embeddings.position_embedding.weight": meta(729, width),
        f"{vision}head.probe": meta(1, 1, width),
        f"{vision}head.attention.in_proj_weight": meta(3 * width, width),
        f"{vision}head.attention.in_proj_bias": meta(3 * width),
        **linear(f"{vision}head.attention.out_proj", width, width),
        **linear(f"{vision}head.mlp.fc1", hidden, width),
        **linear(f"{vision}head.mlp.fc2", width, hidden),
        **affine(f"{vision}head.layernorm", width),
        **affine(f"{vision}post_layernorm", width),
        f"{text}embeddings.token_embedding.weight": meta(32000, width),
        f"{text}embeddings.position_embedding.weight": meta(64, width),
        **affine(f"{text}final_layer_norm", width),
        **linear(f"{text}head", width, width),
        "logit_scale": meta(1),
        "logit_bias": meta(1),
    }
    for side in (vision, text):
        for layer in (f"{side}encoder.layers.{index}." for index in range(27)):
            state |= affine(f"{layer}layer_norm1", width) | affine(f"{layer}layer_norm2", width)
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                state |= linear(f"{layer}self_attn.{part}", width, width)
            state |= linear(f"{layer}mlp.fc1", hidden, width)
            state |= linear(f"{layer}mlp.fc2", width, hidden)
    found = to_open_clip(state, set(model))
    assert shapes(found) == shapes(model)
    assert suggest_model(found, []) == name


def linear(name: str, rows: int, columns: int) -> dict[str, Tensor]:
    return {f"{name}.weight": meta(rows, columns), f"{name}.bias": meta(rows)}


@pytest.fixture
def public(tmp_path: Path):
    """Saves the tiny EVA02 with changes, as a training of DeCLIP does; returns its config too."""
    eva_encoder(FAMILY)  # lets timm know the tiny model
    config = json.loads((FAMILY / "eva_config.json").read_text())
    state = read_state_dict(FAMILY / "eva.safetensors")

    def save(**changes: Tensor) -> tuple[dict, Path]:
        path = tmp_path / "epoch_6.pt"
        weights = {f"module.{name}": tensor for name, tensor in (state | changes).items()}
        optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-5}]}
        beside = {"epoch": 6, "name": "DeCLIP", "optimizer": optimizer, "scaler": {"scale": 2.0}}
        torch.save({**beside, "state_dict": weights}, path)
        return config, path

    return save


def test_a_released_checkpoint_is_unwrapped_and_renamed(public) -> None:
    config, path = public()
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = eva_encoder(FAMILY).encode_image(images)
        torch.testing.assert_close(build_clip(config, path).encode_image(images), expected)


@pytest.mark.parametrize(
    "name", ["visual.blocks.0.attn.extra", "visual.rope.periods", "text.extra", "extra"]
)
def test_keys_that_are_left_over_are_errors(public, name: str) -> None:
    config, path = public(**{name: torch.ones(1)})
    with pytest.raises(CheckpointError, match=r"1 left over.*left over \S*(extra|rope)"):
        build_clip(config, path)


def test_tables_of_rotary_positions_are_dropped_by_any_name(public) -> None:
    names = ("visual.rope.freqs_cos", "visual.blocks.2.attn.rope.freqs_sin")
    config, path = public(**{name: torch.ones(3, 3) for name in names})
    assert build_clip(config, path).name == "custom"
    assert to_open_clip({"visual.trunk.rope.freqs_cos": torch.ones(1)}, set()) == {}


def test_eva_under_a_plain_model_and_the_reverse(public) -> None:
    config, path = public()
    with pytest.raises(CheckpointError, match=r"left over.*instead of clip_tiny"):
        build_clip("asset:clip_tiny", path)
    with pytest.raises(CheckpointError, match=r"left over.*instead of custom"):
        build_clip(config, "asset:clip_tiny")


def test_the_right_model_is_suggested() -> None:
    plain = open_clip_model("EVA02-B-16")
    assert suggest_model(plain, []) == "EVA02-B-16"
    with torch.device("meta"):
        state = open_clip.CLIP(**open_clip.get_model_config("ViT-B-16")).state_dict()
    assert suggest_model(state, list_models()) == "ViT-B-16"
