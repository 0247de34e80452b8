"""Names inside checkpoints: wrappers that are taken off, and other makers' names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ovseg.errors import CheckpointError
from ovseg.weights.rename_ovseg import split_clip_weights

T = TypeVar("T")

WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
)
"""Keys under which trainers put the state dict; the first one present is used."""

PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that wrappers of a module put in front of every key, in either order."""

_EVA_PARTS = (
    ("attn.inner_attn_ln.", "attn.norm."),
    ("attn.q_bias", "attn.q_proj.bias"),
    ("attn.v_bias", "attn.v_proj.bias"),
    ("mlp.w1.", "mlp.fc1_g."),
    ("mlp.w2.", "mlp.fc1_x."),
    ("mlp.ffn_ln.", "mlp.norm."),
    ("mlp.w3.", "mlp.fc2."),
)

_ROPE = re.compile(r"visual\.(.+\.)?rope\.freqs_(cos|sin)")
"""Tables of EVA's rotary positions, which models compute for themselves."""

_SIGLIP_LAYER = r"^encoder\.layers\.(\d+)\."
_SIGLIP_VISION = (
    (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
    (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
    (_SIGLIP_LAYER + r"layer_norm(\d)\.", r"blocks.\1.norm\2."),
    (_SIGLIP_LAYER + r"self_attn\.qkv\.", r"blocks.\1.attn.qkv."),
    (_SIGLIP_LAYER + r"self_attn\.out_proj\.", r"blocks.\1.attn.proj."),
    (_SIGLIP_LAYER + r"mlp\.", r"blocks.\1.mlp."),
    (r"^post_layernorm\.", "norm."),
    (r"^head\.probe$", "attn_pool.latent"),
    (r"^head\.attention\.out_proj\.", "attn_pool.proj."),
    (r"^head\.layernorm\.", "attn_pool.norm."),
    (r"^head\.mlp\.", "attn_pool.mlp."),
)
_SIGLIP_TEXT = (
    (r"^embeddings\.token_embedding\.", "token_embedding."),
    (r"^embeddings\.position_embedding\.weight$", "positional_embedding"),
    (_SIGLIP_LAYER + r"layer_norm(\d)\.", r"transformer.resblocks.\1.ln_\2."),
    (_SIGLIP_LAYER + r"self_attn\.qkv\.", r"transformer.resblocks.\1.attn.in_proj_"),
    (_SIGLIP_LAYER + r"self_attn\.out_proj\.", r"transformer.resblocks.\1.attn.out_proj."),
    (_SIGLIP_LAYER + r"mlp\.fc1\.", r"transformer.resblocks.\1.mlp.c_fc."),
    (_SIGLIP_LAYER + r"mlp\.fc2\.", r"transformer.resblocks.\1.mlp.c_proj."),
    (r"^final_layer_norm\.", "ln_final."),
    (r"^head\.", "text_projection."),
)


def unwrap(
    content: Any, where: str | Path = "checkpoint", wrappers: Sequence[str] = WRAPPERS
) -> dict[str, Tensor]:
    """Take off documented wrappers: one of `WRAPPERS`, then `PREFIXES` that every key carries.

    Args:
        content: what a checkpoint file holds.
        where: named in errors.
        wrappers: names of wrappers, in place of `WRAPPERS`.

    Raises:
        CheckpointError: no tensors inside, or something beside tensors is left.

    Example:
        >>> unwrap({"epoch": 3, "state_dict": {"module.w": torch.ones(1)}})
        {'w': tensor([1.])}
    """
    for _ in range(3):
        inner = next((content[k] for k in wrappers if _is_mapping(content, k)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(
            "no tensors inside", where=where, expected="names and tensors, or a known wrapper"
        )
    odd = [str(key) for key, value in content.items() if not _is_entry(key, value)]
    if odd:
        raise CheckpointError(
            f"entries that are no plain tensors: {', '.join(odd[:5])}",
            where=where,
            expected=f"names and tensors, or one of the wrappers {', '.join(wrappers)}",
        )
    return strip_prefixes(content)


def strip_prefixes(state: Mapping[str, T]) -> dict[str, T]:
    """Take off `PREFIXES` that every name carries, of a copy."""
    state = dict(state)
    for prefix in PREFIXES * 2:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _is_entry(key: object, value: object) -> bool:
    """Whether this is a name and a tensor that holds its numbers densely."""
    dense = isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta
    return dense and isinstance(key, str)


def _is_mapping(content: Any, key: str) -> bool:
    return isinstance(content, Mapping) and isinstance(content.get(key), Mapping)


def to_open_clip(state: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """Rename other makers' keys to the names of an open_clip model.

    Knows EVA-CLIP's public names (as in released EVA02-CLIP and DeCLIP files; tables of rotary
    positions are dropped), Hugging Face's SigLIP, CLIP inside a released model of mask-adapted CLIP
    (whose mask prompts are no part of it), and CLIP files for models that keep the text encoder
    under `text.`.

    Args:
        state: names and tensors.
        wanted: names of the model.

    Returns:
        Renamed names; names that nothing matches stay and fail the strict load.
    """
    state = split_clip_weights(state)
    state = {key: value for key, value in state.items() if not _ROPE.fullmatch(key)}
    if any(key.startswith("visual.blocks.") for key in state):
        state = _from_eva(state)
    if any(key.startswith("vision_model.") for key in state):
        state = _from_siglip(state)
    if "text.positional_embedding" in wanted and "positional_embedding" in state:
        state = {_under_text(key): value for key, value in state.items()}
    scalars = ("logit_scale", "logit_bias")
    return {k: v.reshape(()) if k in scalars and v.numel() == 1 else v for k, v in state.items()}


def _from_eva(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, value in state.items():
        if not key.startswith("visual."):
            renamed[key] = value
        else:
            inner = key.removeprefix("visual.")
            for theirs, ours in _EVA_PARTS:
                inner = inner.replace(theirs, ours)
            renamed["visual.trunk." + inner] = value
    return renamed


def _from_siglip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {k: v for k, v in state.items() if not k.startswith(("vision_model.", "text_model."))}
    for side, ours, parts in (
        ("vision_model.", "visual.trunk.", _SIGLIP_VISION),
        ("text_model.", "text.", _SIGLIP_TEXT),
    ):
        tower = {k.removeprefix(side): v for k, v in state.items() if k.startswith(side)}
        _join_projections(tower)
        _split_pooling(tower)
        for key, value in tower.items():
            for pattern, name in parts:
                key = re.sub(pattern, name, key)
            renamed[ours + key] = value[None] if key == "pos_embed" else value
    return renamed


def _join_projections(tower: dict[str, Tensor]) -> None:
    """Join separate q, k and v of the blocks, where all three are there."""
    for key in [k for k in tower if ".self_attn.q_proj." in k]:
        names = [key.replace("q_proj", f"{part}_proj") for part in "qkv"]
        if all(name in tower for name in names):
            joined = torch.cat([tower.pop(name) for name in names])
            tower[key.replace("q_proj", "qkv")] = joined


def _split_pooling(tower: dict[str, Tensor]) -> None:
    """Split the fused projection of the pooling head."""
    for kind in ("weight", "bias"):
        fused = tower.pop(f"head.attention.in_proj_{kind}", None)
        if fused is not None:
            width = len(fused) // 3
            tower[f"attn_pool.q.{kind}"], tower[f"attn_pool.kv.{kind}"] = fused.split(
                [width, 2 * width]
            )


def _under_text(key: str) -> str:
    text = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
    return "text." + key if key.startswith(text) else key
