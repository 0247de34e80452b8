"""Trident beside its three encoders' own forwards; random numbers cost what trained ones do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

__all__ = ["PARTS", "trident_part"]

PARTS = ("clip", "dino", "sam", "trident")


def trident_part(part: str, size: list[int], quick: bool) -> Callable[[], Any]:
    """One image through CLIP, DINO or SAM alone, or through all of Trident with decode.

    Args:
        part: one of `PARTS`; an encoder alone sees what it sees in Trident, and runs to its end.
        size: (height, width) of the image.
        quick: the bundled tiny towers in place of ViT-B/16, DINO ViT-B/16 and SAM ViT-B.
    """
    from ovseg.inference.windows import window_batches
    from ovseg.pipeline import build_pipeline
    from ovseg.prompts.vocabulary import Vocabulary

    side = 112 if quick else 336
    clip, dino, sam = (
        ("asset:clip_tiny", "asset:dino_tiny", "asset:sam_tiny")
        if quick
        else ("ViT-B-16-quickgelu", "vit_base_patch16_224", "vit_b")
    )
    spec = {
        "backbone": {"type": "ClipBackbone", "model": clip, "pretrained": None},
        "decode_head": {
            "type": "TridentHead",
            "dino": {"model": dino, "pretrained": None},
            "sam": {"model": sam, "pretrained": None},
        },
        "test_cfg": {
            "mode": "slide",
            "short_side": side * 4 // 3,
            "crop_size": side,
            "stride": side * 2 // 3,
        },
    }
    pipeline = build_pipeline(spec, cache_dir=None)
    image_np = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    vocabulary = Vocabulary.builtin("ade20k")
    text = functional.normalize(
        torch.randn(len(vocabulary.prompts), pipeline.clip.embed_dim), dim=1
    )
    pipeline.text_embeddings = lambda _: text
    image_tensor = pipeline.head.resize_input(
        pipeline.clip, pipeline.prepare(image_np), (side, side)
    )
    grid = pipeline.settings.windows(tuple(image_tensor.shape[1:]))
    windows = [
        some for _, some in window_batches(image_tensor, grid, pipeline.settings.window_batch)
    ]
    tower = pipeline.head.sam_tower
    pixels = tower.prepare(image_np, pipeline.clip.patch_size).pixels

    def encode_again() -> Any:
        tower._last = None
        return pipeline(image_np, vocabulary, want_scores=False)

    parts: dict[str, Callable[[], Any]] = {
        "clip": lambda: [pipeline.clip.encode_image(some) for some in windows],
        "dino": lambda: [pipeline.head.dino_tower(some, "out") for some in windows],
        "sam": lambda: tower.model.image_encoder(pixels),
        "trident": encode_again,
    }
    return torch.inference_mode()(parts[part])
