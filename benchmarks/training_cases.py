"""A step of DeCLIP's training, by the fused attention and by matrices of all pairs of tokens."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["train_step"]

_FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def train_step(way: str, quick: bool) -> Callable[[], Any]:
    """Losses and gradients of one image of 560 pixels with four regions.

    The student and the teacher of the crops are CLIP ViT-B/16, the vision foundation model is DINO
    ViT-B/16. Random numbers cost the same as trained ones.

    Args:
        way: "sdpa", or "naive": every block keeps a matrix of tokens x tokens for every head.
        quick: tiny models and images.
    """
    from ovseg.heads import DeClip
    from ovseg.models.clip import build_clip
    from ovseg.training.affinity_teachers import build_teacher
    from ovseg.training.declip_recipe import DeclipRecipe

    clip = build_clip("asset:clip_tiny.json" if quick else "ViT-B-16-quickgelu", None)
    dino = "asset:dino_tiny" if quick else "vit_base_patch16_224"
    vfm = {"type": "DinoTeacher", "model": dino, "pretrained": None}
    recipe, head = DeclipRecipe(vfm), DeClip("qq")
    recipe.vfm = build_teacher(vfm)
    recipe.prepare(clip, head)
    side, crop = (64, 32) if quick else (560, 224)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, side, side, generator=generator)
    corners = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.5]])
    sample = SimpleNamespace(
        boxes=torch.cat([corners, corners + 0.5], dim=1),
        crops=torch.rand(4, 3, crop, crop, generator=generator) * 255,
        vfm_image=images[0] * 255,
        img_path="",
    )

    def step() -> None:
        with sdpa_kernel([SDPBackend.MATH] if way == "naive" else _FUSED):
            sum(recipe.losses(clip, head, images, [sample]).values()).backward()

    return step
