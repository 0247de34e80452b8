"""The pieces of work that are measured. A case prepares its work and returns it as a function."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.dense_cases import read_dense
from benchmarks.evaluation_cases import count_images, evaluation_part
from benchmarks.region_cases import embed_regions
from benchmarks.training_cases import train_step
from benchmarks.trident_cases import trident_part
from ovseg.inference.decode import DecodeOptions, decode
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import CosineScores, DenseScores, join_windows
from ovseg.inference.windows import InferenceSettings, WindowGrid

if TYPE_CHECKING:
    from ovseg.segmenter import Segmenter

__all__ = ["CASES"]

Work = Callable[[], Any]

_WINDOWS = InferenceSettings(mode="slide", crop_size=448, stride=224, short_side=448)
_PATCH = 16


def _smooth_maps(channels: int, grid: WindowGrid) -> Tensor:
    """Seeded maps (windows, channels, h, w) that vary slowly, as those of a network do."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(len(grid), channels, 4, 4, generator=generator)
    cells = [-(-side // _PATCH) for side in grid.crop]
    return functional.interpolate(coarse, cells, mode="bilinear")


def decode_scores(classes: int, size: list[int], way: str) -> Work:
    """Decode of given scores: "ours", "labels" (ours without scores), or "plain"."""
    height, width = size
    grid = _WINDOWS.windows(_WINDOWS.network_size((height, width)))
    values = _smooth_maps(classes, grid)
    if way == "plain":
        return lambda: _decode_plainly(values, grid, (height, width))
    scores = DenseScores(join_windows(values, grid))
    return lambda: decode(scores, grid, (height, width), want_scores=way == "ours")


def _decode_plainly(values: Tensor, grid: WindowGrid, size: tuple[int, int]) -> Tensor:
    """Upsample all, average, resize, argmax: what `decode` avoids."""
    total = torch.zeros(values.shape[1], *grid.size)
    count = torch.zeros(grid.size)
    for (top, left, bottom, right), window in zip(grid.boxes(), values, strict=True):
        pixels = functional.interpolate(window[None], grid.crop, mode="bilinear")[0]
        total[:, top:bottom, left:right] += pixels
        count[top:bottom, left:right] += 1
    total /= count
    return functional.interpolate(total[None], size, mode="bilinear")[0].argmax(0)


def many_classes(classes: int, size: list[int]) -> Work:
    """Decode of features against very many words, scores computed on the way."""
    height, width = size
    grid = _WINDOWS.windows(_WINDOWS.network_size((height, width)))
    generator = torch.Generator().manual_seed(0)
    text = functional.normalize(torch.randn(classes, 512, generator=generator), dim=1)
    features = join_windows(_smooth_maps(512, grid), grid)
    return lambda: decode(
        CosineScores(features, text), grid, (height, width), DecodeOptions(temperature=100.0)
    )


def _load(model: str) -> Segmenter:
    from ovseg.segmenter import load

    return load(model, device="cpu", precision="fp32")


def _image(size: list[int]) -> np.ndarray:
    generator = np.random.default_rng(0)
    coarse = torch.from_numpy(generator.random((1, 3, 8, 8), dtype=np.float32))
    image = functional.interpolate(coarse, size, mode="bilinear")[0]
    return (image * 255).byte().permute(1, 2, 0).numpy()


def encode_text(model: str, names: list[str], templates: str, way: str) -> Work:
    """Text bank: "cut" at the longest prompt, "full" context, or "cached" on disk before.

    The model is an architecture of open_clip; its numbers are random, which costs the same.
    """
    from ovseg.models.clip import build_clip
    from ovseg.prompts.templates import fill_template, load_templates
    from ovseg.prompts.text_bank import TextBank

    clip = build_clip(model, None, towers="text")
    if way == "full":
        prompts = [fill_template(t, name) for name in names for t in load_templates(templates)]

        def run() -> None:
            with torch.inference_mode():
                for batch in clip.tokenize(prompts).split(64):
                    clip.encode_text(batch)

        return run
    if way == "cut":
        return lambda: TextBank(clip, templates, cache_dir=None).encode(names)
    folder = tempfile.TemporaryDirectory()
    TextBank(clip, templates, cache_dir=folder.name).encode(names)
    return lambda: (TextBank(clip, templates, cache_dir=folder.name).encode(names), folder)


def score_windows(model: str, size: list[int], crop: int, batch: int) -> Work:
    """Head over the windows of one image, so many at a time."""
    pipeline = _load(model).pipeline
    settings = InferenceSettings(
        mode="slide", crop_size=crop, stride=crop // 2, short_side=None, window_batch=batch
    )
    image = pipeline.prepare(_image(size))
    grid = settings.windows(tuple(image.shape[1:]))
    text = functional.normalize(torch.randn(20, pipeline.clip.embed_dim), dim=1)

    def run() -> None:
        with torch.inference_mode():
            pipeline.head(HeadInput(pipeline.clip, image, text, grid, batch))

    return run


def score_by_head(head: str, quick: bool, windows: int) -> Work:
    """Windows of 448 pixels through ViT-B/16 and a head; random numbers cost the same.

    Heads: "maskclip", "dinoiser", and "direct", which runs DINO ViT-B/16 beside it.
    """
    from ovseg.heads import ClipDinoiser, MaskClip
    from ovseg.models.clip import build_clip

    clip = build_clip("asset:clip_tiny.json" if quick else "ViT-B-16", None)
    if head == "maskclip":
        model = MaskClip(score_type="probs")
    elif head == "dinoiser":
        model = ClipDinoiser(in_channels=clip.tower.width)
    else:
        dino = "asset:dino_tiny" if quick else "vit_base_patch16_224"
        model = ClipDinoiser("direct", dino={"model": dino, "pretrained": None})
    side = 64 if quick else 448
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, side, side * windows, generator=generator)
    grid = InferenceSettings(mode="slide", crop_size=side, stride=side).windows(image.shape[1:])
    text = functional.normalize(torch.randn(20, clip.embed_dim, generator=generator), dim=1)
    return torch.inference_mode()(lambda: model(HeadInput(clip, image, text, grid, windows)))


def stage(model: str, size: list[int], words: list[str], name: str) -> Work:
    """One stage of the pipeline: "load", "words", "prepare", "score", "decode", "refine", "all"."""
    if name == "load":
        return lambda: _load(model)
    from ovseg.prompts.vocabulary import Vocabulary
    from ovseg.refine import Pamr

    pipeline, image_np = _load(model).pipeline, _image(size)
    vocabulary = Vocabulary.parse(words)
    if name == "words":
        pipeline.bank.cache_dir = None
        return lambda: pipeline.bank.encode(vocabulary.prompts)
    text_embeddings, image_tensor = pipeline.text_embeddings(vocabulary), pipeline.prepare(image_np)
    grid = pipeline.settings.windows(tuple(image_tensor.shape[1:]))
    inputs = HeadInput(
        pipeline.clip, image_tensor, text_embeddings, grid, pipeline.settings.window_batch
    )
    with torch.inference_mode():
        scores = pipeline.head(inputs)
    options = pipeline.head.decode_options(prompt_class=vocabulary.prompt_class)
    if name == "refine":
        pipeline.refiner = Pamr()
    stages = {
        "prepare": lambda: pipeline.prepare(image_np),
        "score": lambda: pipeline.head(inputs),
        "decode": lambda: decode(scores, grid, tuple(size), options),
        "refine": lambda: pipeline(image_np, vocabulary),
        "all": lambda: pipeline(image_np, vocabulary),
    }
    return torch.inference_mode()(stages[name])


CASES: dict[str, Callable[..., Work]] = {
    "decode": decode_scores,
    "classes": many_classes,
    "text": encode_text,
    "windows": score_windows,
    "heads": score_by_head,
    "dense": read_dense,
    "regions": embed_regions,
    "training": train_step,
    "trident": trident_part,
    "stages": stage,
    "evaluation": evaluation_part,
    "count": count_images,
}
