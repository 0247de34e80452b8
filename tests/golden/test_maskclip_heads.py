"""MaskCLIP's head and whole road to labels against the reference's arrays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from open_clip.modified_resnet import AttentionPool2d
from torch import Tensor

from ovseg.heads import MaskClip
from ovseg.heads.base import cosines
from ovseg.inference.decode import maps
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import DenseScores
from ovseg.inference.tiles import DecodeOptions
from ovseg.inference.windows import InferenceSettings, whole
from ovseg.models.last_block import projected_keys, read_last_block
from ovseg.models.resnet import AttentionPoolBlock, with_mean
from ovseg.pipeline import Pipeline
from ovseg.prompts.vocabulary import Vocabulary
from tests.golden.conftest import cases
from tests.golden.test_maskclip_dinoiser import (
    VARIANTS,
    close,
    encoder,
    in_unit_range,
    tensors,
)

COSINES = {"atol": 1e-5, "rtol": 0.0}
SMOOTHED = {"atol": 1e-3, "rtol": 0.0}
REFINED = {"atol": 1e-4, "rtol": 0.0}
PROBS = {"atol": 2e-4, "rtol": 0.0}
SAMPLED = (slice(None), slice(None, None, 3), slice(None, None, 3))
ATTENTION_POOL_HEADS = 4

HEADS = {
    "": {},
    "_ks": {"key_smoothing": 1.0},
    "_pd": {"prompt_denoising": 0.5},
    "_kspd": {"key_smoothing": 1.0, "prompt_denoising": 0.5},
    "_ks80": {"key_smoothing": 0.8},
}


def tolerance(options: dict[str, float]) -> dict[str, float]:
    return SMOOTHED if options else COSINES


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "mc_dense_*"))
@torch.inference_mode()
def test_logits_of_patches(path: Path, head: str, variant: str) -> None:
    case, clip = tensors(path), encoder(path.parent, variant)
    name = f"logits{head}{variant}"
    if name not in case:
        return
    images, text = in_unit_range(case, clip), case["text"]
    model = MaskClip(**HEADS[head])
    actual = model.patch_scores(clip, clip.run_backbone(images), text)
    close(actual, case[name], tolerance(HEADS[head]))
    for image, expected in zip(images, case[name], strict=True):
        found = model(HeadInput(clip, image, text, whole(tuple(image.shape[1:]))))
        close(found.chunk(0, len(text)), expected, tolerance(HEADS[head]))


@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "mc_ks_pd*"))
def test_key_smoothing_and_prompt_denoising(path: Path) -> None:
    case = tensors(path)
    names = [name for name in case if name.startswith("out_")]
    assert names
    for name in names:
        smoothing, denoising = map(float, re.findall(r"[\d.]+", name))
        head = MaskClip(key_smoothing=smoothing, prompt_denoising=denoising)
        close(head.forward_residual_mlp(case["logits"], case["key"]), case[name], REFINED)


def pool_of(case: dict[str, Tensor]) -> AttentionPoolBlock:
    """CLIP's attention pool with a case's weights."""
    width, (out, _) = case["x"].shape[1], case["c_proj.weight"].shape[:2]
    pool = AttentionPool2d(1, width, ATTENTION_POOL_HEADS, out)
    weights = {name: value.flatten(1) for name, value in case.items() if name.endswith(".weight")}
    biases = {name: value for name, value in case.items() if name.endswith(".bias")}
    pool.load_state_dict({"positional_embedding": pool.positional_embedding, **weights, **biases})
    return AttentionPoolBlock(pool)


@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "mc_resnet_head*"))
@torch.inference_mode()
def test_resnet_head(path: Path) -> None:
    case = tensors(path)
    block, tokens, grid = pool_of(case), with_mean(case["x"]), tuple(case["x"].shape[2:])

    def features(attention_mode: str) -> Tensor:
        mixed = read_last_block(block, tokens, grid, attention_mode)[:, 1:]
        return mixed.transpose(1, 2).unflatten(2, grid)

    keys = projected_keys(block, tokens, prefix=1)
    close(MaskClip().scores(features("value"), case["text"]), case["logits"], COSINES)
    smoothed = MaskClip(**HEADS["_kspd"]).scores(features("value"), case["text"], keys)
    close(smoothed, case["logits_kspd"], SMOOTHED)
    close(cosines(features("vanilla"), case["text"]), case["logits_attnpool"], COSINES)


@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "cd_maskclip_*"))
@torch.inference_mode()
def test_probabilities_of_patches(path: Path) -> None:
    case, clip = tensors(path), encoder(path.parent, None)
    head, text = MaskClip(score_type="probs", temperature=100.0), case["text"]
    close(head.patch_scores(clip, clip.run_backbone(case["image"]), text), case["probs"], PROBS)
    image = case["image"][0]
    found = head(HeadInput(clip, image, text, whole(tuple(image.shape[1:]))))
    close(found.chunk(0, len(text)), case["probs"][0], PROBS)


@pytest.mark.parametrize("head", ["", "_kspd"])
@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "mc_pipeline*"))
@torch.inference_mode()
def test_from_image_to_labels(path: Path, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, clip = tensors(path), encoder(path.parent, "")
    short_side, long_side = sorted(case["img_scale"].tolist())
    pipeline = Pipeline(
        clip,
        MaskClip(temperature=1.0, **HEADS[head]),
        settings=InferenceSettings(short_side=short_side, long_side=long_side),
        cache_dir=None,
    )
    monkeypatch.setattr(pipeline, "text_embeddings", lambda vocabulary: case["text"])
    parsed_vocabulary = Vocabulary.from_names([f"class {i}" for i in range(len(case["text"]))])

    prepared = pipeline.prepare(case["picture"].numpy())
    close(
        clip.pad_and_normalize(prepared[None])[..., : prepared.shape[1], : prepared.shape[2]],
        case["input"],
        {"atol": 0.018, "rtol": 0.0},
    )

    size = tuple(case["pred"].shape)
    image = case["input"][0] * clip.std + clip.mean
    probabilities = pipeline.probabilities(image, parsed_vocabulary, size)
    close(probabilities[SAMPLED], case[f"softmax{head}"][0], REFINED)
    found = pipeline.predict(image, parsed_vocabulary, size)
    sure = case[f"margin{head}"] > 10 * tolerance(HEADS[head])["atol"]
    assert torch.equal(torch.from_numpy(found.labels)[sure], case[f"pred{head}"][sure])
    close(torch.from_numpy(found.scores), probabilities.amax(0), COSINES)
    window = whole(tuple(image.shape[1:]))
    grid = pipeline.head(HeadInput(clip, image, case["text"], window))
    close(
        grid.chunk(0, len(parsed_vocabulary)), case[f"grid_logits{head}"][0], tolerance(HEADS[head])
    )
    lifted = DenseScores(
        grid.chunk(0, len(parsed_vocabulary)) + 1
    )  # maps of probabilities are not negative
    logits = (
        maps(lifted, window, size, range(len(parsed_vocabulary)), DecodeOptions(score_type="probs"))
        - 1
    )
    close(logits[SAMPLED], case[f"seg_logits{head}"][0], tolerance(HEADS[head]))
