"""Regions of masks through CLIP's image encoder, beside a plain batch of crops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["embed_regions"]

Work = Callable[[], Any]


def embed_regions(way: str, quick: bool, count: int, batch: int = 32) -> Work:
    """Embed regions of one image by ViT-B/16; random numbers cost the same.

    Ways: "plain", the tower itself on crops that are cut already, in one batch; "ours", with
    cutting, blanking and prompts; "repeated", the same where every second mask repeats another and
    a few are empty.
    """
    from ovseg.heads import MaskAdaptedClip
    from ovseg.masks.mask_prompts import new_prompts, region_side
    from ovseg.models.clip import build_clip

    clip = build_clip("asset:clip_tiny.json" if quick else "ViT-B-16-quickgelu", None)
    torch.manual_seed(0)
    if way == "plain":
        side = region_side(clip.tower)
        crops = torch.randn(count, 3, side, side)
        return torch.inference_mode()(lambda: clip.tower.visual(crops))
    size = (64, 80) if quick else (640, 853)
    image, masks = torch.rand(3, *size), _ellipses(count, size)
    if way == "repeated":
        masks[1::2] = masks[::2]
        masks[: count // 16] = False
    head = MaskAdaptedClip({"type": "PrecomputedMaskProposer"}, prompts=False)
    head.mask_embedding = nn.Parameter(new_prompts(clip.tower))

    def run() -> Tensor:
        return head.region_features(clip, image, masks[masks.flatten(1).any(1)], batch)

    return torch.inference_mode()(run)


def _ellipses(count: int, size: tuple[int, int]) -> Tensor:
    """Seeded masks (count, h, w) bool of a tenth to half of the sides."""
    y, x = (torch.linspace(0, 1, side) for side in size)
    center, radius = torch.rand(count, 2, 1, 1), torch.rand(count, 2, 1, 1) * 0.2 + 0.05
    across = ((y[:, None] - center[:, 0]) / radius[:, 0]) ** 2
    return across + ((x - center[:, 1]) / radius[:, 1]) ** 2 < 1
