"""MaskCLIP's models."""

from __future__ import annotations

from typing import Any

from ovseg.zoo.entry import ModelEntry, Weights, segmentor, slide_test_cfg
from ovseg.zoo.weights import LAION_B16, OPENAI_B16, OPENAI_L14, TINY_CLIP


def _maskclip(
    backbone: dict[str, Any],
    head: dict[str, Any],
    templates: str,
    test_cfg: dict[str, Any],
) -> dict[str, Any]:
    return segmentor(backbone, {"type": "MaskClipHead", **head}, templates, test_cfg)


def _openai_maskclip(name: str, model: str, weights: Weights) -> ModelEntry:
    """MaskCLIP on OpenAI's weights in the way the later training-free methods compare with it."""
    return ModelEntry(
        name=name,
        method="MaskCLIP",
        summary=f"{weights.name}, windows of 224 on a short side of 336 (SCLIP's protocol)",
        weights=(weights,),
        spec=_maskclip(
            {"model": model, "pretrained": weights.tag},
            {"score_type": "logits", "temperature": 40.0},
            "imagenet80",
            slide_test_cfg(336, 224, 112),
        ),
    )


ENTRIES = (
    ModelEntry(
        name="maskclip-tiny",
        method="MaskCLIP",
        summary="offline demo: understands scenes of our own synthetic world only, no photos",
        weights=(TINY_CLIP,),
        spec=_maskclip(
            {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny.safetensors"},
            {"score_type": "logits", "temperature": 20.0},
            "photo",
            slide_test_cfg(224, 112, 56),
        ),
    ),
    _openai_maskclip("maskclip-vit-b16", "ViT-B-16-quickgelu", OPENAI_B16),
    _openai_maskclip("maskclip-vit-l14", "ViT-L-14-quickgelu", OPENAI_L14),
    ModelEntry(
        name="maskclip-vit-b16-laion2b",
        method="MaskCLIP",
        summary="LAION-2B CLIP ViT-B/16, windows of 448 (MaskCLIP as in CLIP-DINOiser)",
        weights=(LAION_B16,),
        spec=_maskclip(
            {"model": "ViT-B-16", "pretrained": LAION_B16.tag, "pad_mode": "before"},
            {"score_type": "probs", "temperature": 100.0},
            "imagenet80",
            slide_test_cfg(448, 448, 224),
        ),
    ),
    ModelEntry(
        name="maskclip-vit-b16-original",
        method="MaskCLIP",
        summary="OpenAI CLIP ViT-B/16 exactly as the MaskCLIP paper's code runs it",
        weights=(OPENAI_B16,),
        spec=_maskclip(
            {
                "model": "ViT-B-16",
                "pretrained": OPENAI_B16.tag,
                "act_layer": "gelu",
                "ln_eps": 1e-6,
                "normalization": "imagenet",
                "pad_mode": "after",
            },
            {"score_type": "logits", "temperature": 100.0},
            "maskclip85",
            {"mode": "whole", "short_side": 512},
        ),
    ),
)
