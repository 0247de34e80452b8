"""Trident's models."""

from __future__ import annotations

from typing import Any

from ovseg.zoo.entry import ModelEntry, Weights, segmentor, slide
from ovseg.zoo.weights import (
    DINO_B16,
    LAION_H14,
    OPENAI_B16,
    OPENAI_L14,
    SAM_B,
    TINY_CLIP,
    TINY_DINO,
    TINY_SAM,
)


def _head(dino: tuple[str, str | None], sam: tuple[str, str | None], **options: Any) -> dict:
    """Trident's head from (model, weights) of its towers."""
    return {
        "type": "TridentHead",
        "dino": {"model": dino[0], "pretrained": dino[1]},
        "sam": {"model": sam[0], "pretrained": sam[1]},
        **options,
    }


def _trident(name: str, summary: str, model: str, weights: Weights) -> ModelEntry:
    """Trident as published for everyday pictures (VOC, COCO); without the refinement by SAM."""
    return ModelEntry(
        name=name,
        method="Trident",
        summary=summary,
        weights=(weights, DINO_B16, SAM_B),
        spec=segmentor(
            {"model": model, "pretrained": weights.tag, "position_rule": "plus_0.1"},
            _head(("vit_base_patch16_224", DINO_B16.tag), ("vit_b", SAM_B.tag)),
            "imagenet80",
            slide(448, 336, 224),
        ),
    )


ENTRIES = (
    _trident(
        "trident-vit-b16",
        "OpenAI CLIP ViT-B/16 with DINO inside windows and SAM across the picture",
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
        summary="offline demo with three towers: our own drawn world only, no photos",
        weights=(TINY_CLIP, TINY_DINO, TINY_SAM),
        spec=segmentor(
            {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny.safetensors"},
            _head(
                ("asset:dino_tiny.json", f"asset:{TINY_DINO.asset}"),
                ("asset:sam_tiny.json", f"asset:{TINY_SAM.asset}"),
                # Values of the tiny SAM are alike nearly everywhere: this sets each row's
                # threshold to its upper limit.
                cos_fac=100.0,
                temperature=20.0,
            ),
            "photo",
            slide(224, 112, 56),
        ),
    ),
)
