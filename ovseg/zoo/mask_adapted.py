"""Mask-adapted CLIP's models."""

from __future__ import annotations

from typing import Any

from ovseg.zoo.entry import ModelEntry, Weights, segmentor
from ovseg.zoo.weights import OVSEG_R101, OVSEG_SWIN_B, TINY_CLIP, TINY_PROMPTS, TINY_PROPOSER


def _released(
    name: str,
    summary: str,
    model: str,
    weights: Weights,
    backbone: dict[str, Any],
    embed_dim: int,
    threshold: float,
    short_side: int,
) -> ModelEntry:
    """A whole model as released: one file holds CLIP, the mask prompts and the proposal network."""
    file = f"manual:{weights.files[0]}"
    proposer = {
        "type": "MaskFormerProposer",
        "backbone": backbone,
        "embed_dim": embed_dim,
        "pretrained": file,
    }
    return ModelEntry(
        name=name,
        method="mask-adapted CLIP",
        summary=summary,
        weights=(weights,),
        spec=segmentor(
            {"model": model, "pretrained": file},
            {
                "type": "MaskAdaptedClipHead",
                "proposer": proposer,
                "pretrained": file,
                "mask_threshold": threshold,
                "weight": 0.7,
            },
            "vild14",
            {
                "mode": "whole",
                "short_side": short_side,
                "long_side": 4 * short_side,
                "resize": "pillow",
                "window_batch": 32,
            },
        ),
    )


ENTRIES = (
    _released(
        "mask-adapted-clip-swin-b-vit-l14",
        "OVSeg: MaskFormer on Swin-B proposes, CLIP ViT-L/14 judges; non-commercial weights",
        "ViT-L-14-quickgelu",
        OVSEG_SWIN_B,
        {"type": "SwinFeatures"},
        768,
        0.4,
        640,
    ),
    _released(
        "mask-adapted-clip-r101-vit-b16",
        "OVSeg: MaskFormer on ResNet-101 proposes, CLIP ViT-B/16 judges; non-commercial weights",
        "ViT-B-16-quickgelu",
        OVSEG_R101,
        {"type": "ResNetFeatures", "name": "resnet101"},
        512,
        0.5,
        512,
    ),
    ModelEntry(
        name="mask-adapted-clip-tiny",
        method="mask-adapted CLIP",
        summary="offline demo: a tiny MaskFormer proposes, CLIP judges; synthetic world only",
        weights=(TINY_CLIP, TINY_PROMPTS, TINY_PROPOSER),
        spec=segmentor(
            {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny.safetensors"},
            {
                "type": "MaskAdaptedClipHead",
                "proposer": {
                    "type": "MaskFormerProposer",
                    "backbone": {
                        "type": "ResNetFeatures",
                        "name": "resnet18",
                        "stem": 16,
                        "dilations": (1,),
                        "layers": (2, 2, 2, 1),
                        "widths": (32, 64, 128, 192),
                    },
                    "embed_dim": 64,
                    "pretrained": f"asset:{TINY_PROPOSER.asset}",
                    "head": {
                        "queries": 20,
                        "width": 64,
                        "layers": 3,
                        "heads": 4,
                        "feedforward": 256,
                        "class_hidden": 128,
                        "groups": 8,
                        "dropout": 0.0,
                    },
                },
                "pretrained": f"asset:{TINY_PROMPTS.asset}",
                "weight": 0.7,
                "temperature": 20.0,
            },
            "photo",
            {"mode": "whole", "short_side": 224, "resize": "pillow", "window_batch": 32},
        ),
    ),
)
