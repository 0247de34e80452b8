"""CLIP-DINOiser's models."""

from __future__ import annotations

from typing import Any

from ovseg.zoo.entry import ModelEntry, Weights, segmentor, slide_test_cfg
from ovseg.zoo.weights import (
    CLIP_DINOISER,
    DINO_B16,
    FOUND,
    FOUND_DINO,
    LAION_B16,
    TINY_CLIP,
    TINY_DINO,
    TINY_DINOISER,
)


def _clip_dinoiser(
    name: str, summary: str, weights: tuple[Weights, ...], **head: Any
) -> ModelEntry:
    """CLIP-DINOiser as published; `weights` come after those of CLIP."""
    return ModelEntry(
        name=name,
        method="CLIP-DINOiser",
        summary=summary,
        weights=(LAION_B16, *weights),
        spec=segmentor(
            {"model": "ViT-B-16", "pretrained": LAION_B16.tag, "pad_mode": "before"},
            {"type": "ClipDinoiserHead", **head},
            "imagenet80",
            slide_test_cfg(448, 448, 224),
        ),
    )


def _clip_dinoiser_tiny(name: str, summary: str, weights: Weights, **head: Any) -> ModelEntry:
    """CLIP-DINOiser on the tiny CLIP, windows and words as for `maskclip-tiny`."""
    return ModelEntry(
        name=name,
        method="CLIP-DINOiser",
        summary=summary,
        weights=(TINY_CLIP, weights),
        spec=segmentor(
            {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny.safetensors"},
            {"type": "ClipDinoiserHead", "temperature": 20.0, **head},
            "photo",
            slide_test_cfg(224, 112, 56),
        ),
    )


ENTRIES = (
    _clip_dinoiser(
        "clip-dinoiser-vit-b16",
        "MaskCLIP on LAION-2B CLIP ViT-B/16, pooled by a learned affinity",
        (CLIP_DINOISER,),
        pretrained=CLIP_DINOISER.url,
    ),
    _clip_dinoiser(
        "clip-dinoiser-vit-b16-direct",
        "the same without training: asks DINO and FOUND themselves, three towers in all",
        (DINO_B16, FOUND_DINO, FOUND),
        mode="direct",
        dino={"model": "vit_base_patch16_224", "pretrained": DINO_B16.tag},
        found={
            "model": "vit_small_patch8_224",
            "pretrained": FOUND_DINO.url,
            "decoder": FOUND.url,
        },
    ),
    _clip_dinoiser_tiny(
        "clip-dinoiser-tiny",
        "offline demo with better shapes: our own synthetic world only, no photos",
        TINY_DINOISER,
        pretrained=f"asset:{TINY_DINOISER.asset}",
        in_channels=128,
        channels=64,
        # Nobody taught these convolutions a foreground: the synthetic world has no FOUND.
        clean_background=False,
    ),
    _clip_dinoiser_tiny(
        "clip-dinoiser-tiny-direct",
        "the same without training, by the tiny DINO; synthetic world only, no photos",
        TINY_DINO,
        mode="direct",
        dino={"model": "asset:dino_tiny.json", "pretrained": f"asset:{TINY_DINO.asset}"},
    ),
)
