"""Trident's models."""

from __future__ import annotations

from ovseg.zoo.entry import ModelEntry, Weights, segmentor, slide_test_cfg
from ovseg.zoo.weights import (
    DINO_B16,
    LAION_H14,
    OPENAI_B16,
    OPENAI_L14,
    SAM_B,
    TINY_CLIP,
    TINY_DINO,
)


def _trident(name: str, summary: str, model: str, weights: Weights) -> ModelEntry:
    """Trident as published for everyday images (VOC, COCO); without the refinement by SAM."""
    return ModelEntry(
        name=name,
        method="Trident",
        summary=summary,
        weights=(weights, DINO_B16, SAM_B),
        spec=segmentor(
            {"model": model, "pretrained": weights.tag, "position_rule": "plus_0.1"},
            {
                "type": "TridentHead",
                "dino": {"model": "vit_base_patch16_224", "pretrained": DINO_B16.tag},
                "sam": {"model": "vit_b", "pretrained": SAM_B.tag},
            },
            "imagenet80",
            slide_test_cfg(448, 336, 224),
        ),
    )


ENTRIES = (
    _trident(
        "trident-vit-b16",
        "OpenAI CLIP ViT-B/16 with DINO inside windows and SAM across the image",
        "ViT-B-16-quickgelu",
        OPENAI_B16,
    ),
    _trident(
        "trident-vit-l14",
        "the same with OpenAI CLIP ViT-L/14; no published figures",
        "ViT-L-14-quickgelu",
        OPENAI_L14,
    ),
    _trident(
        "trident-vit-h14",
        "the same with LAION-2B CLIP ViT-H/14, the strongest published",
        "ViT-H-14",
        LAION_H14,
    ),
    ModelEntry(
        name="trident-tiny",
        method="Trident",
        summary="offline demo: our own synthetic world only, no photos; DINO without SAM",
        weights=(TINY_CLIP, TINY_DINO),
        spec=segmentor(
            {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny.safetensors"},
            {
                "type": "TridentHead",
                "dino": {"model": "asset:dino_tiny.json", "pretrained": f"asset:{TINY_DINO.asset}"},
                "sam": None,
                "temperature": 20.0,
            },
            "photo",
            slide_test_cfg(224, 112, 56),
        ),
    ),
)
