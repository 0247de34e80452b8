"""The pieces of an evaluation: load an image with its labels, score, decode, count."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

__all__ = ["count_images", "evaluation_part"]

Work = Callable[[], Any]


def evaluation_part(part: str, model: str, classes: int, size: list[int], crop: int) -> Work:
    """One part of the evaluation of an image: "load", "score", "decode" or "count".

    The model is an architecture of open_clip with random numbers, which cost the same.
    """
    if part == "load":
        return _load(classes, size)
    if part == "count":
        return count_images(classes, size, 1)
    from ovseg.inference.decode import decode
    from ovseg.inference.head_input import HeadInput
    from ovseg.pipeline import build_pipeline

    spec = {
        "backbone": {"type": "ClipBackbone", "model": model, "pretrained": None},
        "decode_head": {"type": "MaskClipHead", "score_type": "probs", "temperature": 100.0},
        "test_cfg": {"mode": "slide", "crop_size": crop, "stride": crop // 2, "short_side": crop},
    }
    pipeline = build_pipeline(spec, cache_dir=None)
    head, clip, batch = pipeline.head, pipeline.clip, pipeline.settings.window_batch
    image = pipeline.prepare(_image(size))
    grid = pipeline.settings.windows(tuple(image.shape[1:]))
    generator = torch.Generator().manual_seed(0)
    text = functional.normalize(torch.randn(classes, clip.embed_dim, generator=generator), dim=1)

    def score() -> Any:
        with torch.inference_mode():
            return head(HeadInput(clip, image, text, grid, batch))

    if part == "score":
        return score
    scores = score()
    options = head.decode_options()
    return torch.inference_mode()(
        lambda: decode(scores, grid, tuple(size), options, want_scores=False)
    )


def count_images(classes: int, size: list[int], images: int) -> Work:
    """The counts of so many images, and their figures."""
    from ovseg.evaluation.confusion import IoUCounts
    from ovseg.evaluation.scores import summary

    labels = _labels(classes, size)
    found = np.roll(labels, size[1] // 8, axis=1)

    def run() -> dict[str, float]:
        counts = IoUCounts(classes, ignore=65535)
        for _ in range(images):
            counts.update(found, labels)
        return summary(counts.counts)

    return run


def _load(classes: int, size: list[int]) -> Work:
    """The loading transforms of our configurations, on a JPEG and a PNG or TIFF."""
    from mmengine.dataset import Compose
    from mmengine.registry import init_default_scope
    from mmseg.registry import TRANSFORMS

    import ovseg.mm  # noqa: F401 - registers

    init_default_scope("mmseg")
    folder = tempfile.TemporaryDirectory()
    image, labels = Path(folder.name, "a.jpg"), Path(folder.name, "a.png")
    Image.fromarray(_image(size)).save(image, quality=95)
    Image.fromarray(_labels(classes, size).astype(np.uint16)).save(labels)
    kinds = [
        {"type": "LoadImageFromFile", "imdecode_backend": "pillow"},
        {"type": "LoadLabels", "num_classes": classes, "ignore": 65535},
        {"type": "PackSegInputs"},
    ]
    steps = Compose([TRANSFORMS.build(kind) for kind in kinds])
    item = {"img_path": str(image), "seg_map_path": str(labels), "reduce_zero_label": False}
    return lambda: (steps({**item, "seg_fields": []}), folder)


def _image(size: list[int]) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (*size, 3), dtype=np.uint8)


def _labels(classes: int, size: list[int]) -> np.ndarray:
    """Blocks of 16 x 16 pixels of classes by lot."""
    cells = [-(-side // 16) for side in size]
    drawn = np.random.default_rng(0).integers(0, classes, cells)
    return drawn.repeat(16, 0).repeat(16, 1)[: size[0], : size[1]]
