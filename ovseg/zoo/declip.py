"""DeCLIP's models."""

from __future__ import annotations

from ovseg.zoo.entry import ModelEntry, Weights, segmentor, slide_test_cfg
from ovseg.zoo.weights import DECLIP_B16, DECLIP_L14, TINY_CLIP, TINY_DECLIP


def _declip(name: str, summary: str, model: str, weights: Weights, attn_scale: str) -> ModelEntry:
    """DeCLIP with windows as its authors segment; the scale is that of the weights' training."""
    return ModelEntry(
        name=name,
        method="DeCLIP",
        summary=summary,
        weights=(weights,),
        spec=segmentor(
            {"model": model, "pretrained": f"manual:{weights.files[0]}", "pad_mode": "around"},
            {
                "type": "DeClipHead",
                "mode": "csa",
                "attn_scale": attn_scale,
                "temperature": 40.0,
            },
            "imagenet80",
            {**slide_test_cfg(448, 336, 112), "long_side": 4096, "cell_alignment": "around"},
        ),
    )


ENTRIES = (
    _declip(
        "declip-eva-b16",
        "EVA02-CLIP B/16 fine-tuned for dense features, windows of 336",
        "EVA02-B-16",
        DECLIP_B16,
        "sqrt_d",
    ),
    _declip(
        "declip-eva-l14",
        "the same with EVA02-CLIP L/14 (the weights for CAT-Seg); no published protocol of its own",
        "EVA02-L-14-336",
        DECLIP_L14,
        "none",
    ),
    ModelEntry(
        name="declip-tiny",
        method="DeCLIP",
        summary="offline demo: our own synthetic world only, no photos",
        weights=(TINY_CLIP, TINY_DECLIP),
        spec=segmentor(
            {
                "model": "asset:clip_tiny.json",
                "pretrained": "asset:clip_tiny.safetensors",
                "tuned": f"asset:{TINY_DECLIP.asset}",
            },
            {"type": "DeClipHead", "mode": "csa", "temperature": 20.0},
            "photo",
            slide_test_cfg(224, 112, 56),
        ),
    ),
)
