"""CLIP-DINOiser's head, both modes, and its road to labels against the reference's arrays."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import normalize

from ovseg.heads import ClipDinoiser
from ovseg.heads.affinity import affinity
from ovseg.heads.base import cosines
from ovseg.inference.head_input import HeadInput
from ovseg.inference.windows import InferenceSettings, whole
from ovseg.pipeline import Pipeline
from ovseg.prompts.vocabulary import Vocabulary
from tests.golden.conftest import cases
from tests.golden.test_maskclip_dinoiser import close, encoder, tensors

FAMILY = "maskclip_dinoiser"
FEATURES = {"atol": 1e-4, "rtol": 0.0}
EXACT = {"atol": 1e-5, "rtol": 0.0}
PROBS = {"atol": 2e-4, "rtol": 0.0}
SAMPLED = (slice(None), slice(None, None, 4), slice(None, None, 4))


@cache
def head(folder: Path, mode: str = "trained", **options: object) -> ClipDinoiser:
    """The head with the family's weights."""
    if mode == "direct":
        dino, found = (
            {
                "model": str(folder / f"tiny_{name}.json"),
                "pretrained": str(folder / f"tiny_{name}.safetensors"),
            }
            for name in ("dino", "found")
        )
        return ClipDinoiser("direct", dino=dino, found=found, **options)
    path = folder / "dinoiser_head.safetensors"
    channels, in_channels = load_file(path)["obj_proj.weight"].shape[:2]
    return ClipDinoiser(
        pretrained=path, channels=int(channels), in_channels=int(in_channels), **options
    )


def words(count: int, background: bool) -> Vocabulary:
    names = [f"class {i}" for i in range(count)]
    return Vocabulary.from_names(["background", *names[1:]] if background else names)


def to_config(name: str) -> dict[str, object]:
    """Options of the head that an array's name states: probs, probs_bg_delta0.6, ..."""
    stated = dict(re.findall(r"_(delta|gamma)_?(none|[\d.]+)", name))
    return {key: None if value == "none" else float(value) for key, value in stated.items()}


def check_probabilities(path: Path, mode: str) -> None:
    case, clip = tensors(path), encoder(path.parent, None)
    names = [name for name in case if name.startswith("probs")]
    assert names
    images, text = case["image"], case["text"]
    for name in names:
        model = head(path.parent, mode, **to_config(name))
        vocabulary = words(len(text), background="_bg" in name)
        backbone_tokens = clip.run_backbone(images, model.return_intermediates)
        close(model.patch_scores(clip, backbone_tokens, text, vocabulary), case[name], PROBS)
        for image, expected in zip(images, case[name], strict=True):
            grid = whole(tuple(image.shape[1:]))
            scores = model(HeadInput(clip, image, text, grid, vocabulary=vocabulary))
            close(scores.chunk(0, len(text)), expected, PROBS)


@pytest.mark.parametrize("path", cases(FAMILY, "cd_trained_*"))
@torch.inference_mode()
def test_trained(path: Path) -> None:
    case, clip, model = tensors(path), encoder(path.parent, None), head(path.parent)
    backbone_tokens = clip.run_backbone(case["image"], model.return_intermediates)
    inner = model.intermediate_map(
        clip, backbone_tokens, clip.dense_features(backbone_tokens, "value").features
    )
    close(model.background_logits(inner), case["bkg_logits"], FEATURES)
    close(affinity(model.obj_proj(inner)), case["corrs"], EXACT)
    pooled, seen = model.pooled_features(clip, backbone_tokens, foreground=True)
    close(pooled, case["pooled"], FEATURES)
    assert torch.equal(seen, case["bkg_logits"] > 0)
    close(cosines(pooled, case["text"]), case["cosine"], EXACT)
    check_probabilities(path, "trained")


@pytest.mark.parametrize("path", cases(FAMILY, "cd_direct_*"))
@torch.inference_mode()
def test_direct(path: Path) -> None:
    case, clip, model = tensors(path), encoder(path.parent, None), head(path.parent, "direct")
    pooled, seen = model.pooled_features(clip, clip.run_backbone(case["image"]), foreground=True)
    close(pooled, case["pooled"], FEATURES)
    assert torch.equal(seen, case["found_resized"] > 0.5)
    check_probabilities(path, "direct")


def pipeline_of(case: dict[str, Tensor], folder: Path, mode: str) -> Pipeline:
    """The road of a case: "slide", "slide_bg" or "whole"."""
    crop, stride = (tuple(case[name].tolist()) for name in ("crop", "stride"))
    settings = InferenceSettings(
        mode=mode.partition("_")[0], crop_size=crop, stride=stride, short_side=None, window_batch=2
    )
    pipeline = Pipeline(encoder(folder, None), head(folder), settings=settings, cache_dir=None)
    pipeline.text_embeddings = lambda vocabulary: case["text"]
    return pipeline


@pytest.mark.parametrize("mode", ["slide", "slide_bg", "whole"])
@pytest.mark.parametrize("path", cases(FAMILY, "cd_slide*"))
@torch.inference_mode()
def test_windows_to_labels(path: Path, mode: str) -> None:
    case = tensors(path)
    pipeline = pipeline_of(case, path.parent, mode)
    vocabulary = words(len(case["text"]), background=mode.endswith("_bg"))
    image, size = case["image"][0], tuple(case["ori_shape"].tolist())
    averaged = pipeline.probabilities(image, vocabulary, tuple(image.shape[1:]))
    close(averaged[SAMPLED], case[f"{mode}_scores"][0], PROBS)
    rescaled = pipeline.probabilities(image, vocabulary, size)
    close(rescaled[SAMPLED], case[f"{mode}_rescaled"][0], PROBS)
    found = pipeline.predict(image, vocabulary, size)
    sure = case[f"{mode}_margin"] > 1e-4
    assert torch.equal(torch.from_numpy(found.labels)[sure], case[f"{mode}_pred"][sure])


@pytest.mark.parametrize("path", cases(FAMILY, "cd_direct_*"))
@torch.inference_mode()
def test_keys_of_dino(path: Path) -> None:
    case, model = tensors(path), head(path.parent, "direct", feats_type="k")
    images = case["image"]
    patch = encoder(path.parent, None).patch_size
    height, width = (-side % patch for side in images.shape[2:])
    padded = torch.nn.functional.pad(images, (0, width, 0, height))
    unit = normalize(model.dino_tower(padded, model.feats_type).flatten(2), dim=1)
    close(unit, case["dino_feats_k"], FEATURES)
