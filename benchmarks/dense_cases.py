"""DeCLIP's read-out of the last block through scaled-dot-product attention, and the naive way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ovseg.heads.decoupled import decoupled
from ovseg.models.image_encoder import BackboneTokens, VisionTower
from ovseg.models.last_block import join_heads, split_heads

__all__ = ["read_dense"]


def read_dense(part: str, way: str, quick: bool) -> Callable[[], Any]:
    """Content features in mode "csa" of one image of 560 pixels by EVA02-CLIP B/16.

    Random numbers cost the same as trained ones.

    Args:
        part: "read" the last block only, or the whole "forward".
        way: "sdpa", or "naive" with a matrix of tokens x tokens for every head.
        quick: a tiny model and image.
    """
    from ovseg.models.clip import build_clip

    clip = build_clip("asset:clip_tiny.json" if quick else "EVA02-B-16", None)
    generator = torch.Generator().manual_seed(0)
    side = 64 if quick else 560
    images = torch.rand(1, 3, side, side, generator=generator)
    read = _naive if way == "naive" else _ours
    if part == "read":
        with torch.inference_mode():
            backbone_tokens = clip.run_backbone(images)
        return torch.inference_mode()(lambda: read(clip.tower, backbone_tokens))
    return torch.inference_mode()(lambda: read(clip.tower, clip.run_backbone(images)))


def _ours(tower: VisionTower, backbone_tokens: BackboneTokens) -> Tensor:
    return decoupled(tower, backbone_tokens, "csa").content


def _naive(tower: VisionTower, backbone_tokens: BackboneTokens) -> Tensor:
    """The formula as it is written: softmax(s q q^T) + softmax(s k k^T), times v."""
    block = tower.last
    normed = block.norm(backbone_tokens.tokens)
    q, k, v = (split_heads(f(normed), block.heads) for f in (block.query, block.key, block.value))
    scale = v.shape[-1] ** -0.5
    weights = (q @ q.mT * scale).softmax(-1) + (k @ k.mT * scale).softmax(-1)
    mixed = block.forward_no_residual(block.out(join_heads(weights @ v)))
    return tower.project(mixed[:, tower.prefix :])[1]
