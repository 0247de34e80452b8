"""DeCLIP's regions, words and windows against the arrays of its own code."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ovseg.heads import DeClip
from ovseg.heads.decoupled import content
from ovseg.inference.decode import decode, maps
from ovseg.inference.head_input import HeadInput
from ovseg.inference.windows import WindowGrid, slide
from ovseg.models.clip import ClipEncoder
from ovseg.regions import (
    RegionClassification,
    mask_mean,
    mask_pool,
    region_features,
    roi_grid,
    roi_pool,
    top_hits,
)
from tests.golden.conftest import cases
from tests.golden.declip_towers import eva_encoder, siglip_encoder, vit_encoder
from tests.golden.test_declip_dense import close, tensors

FAMILY = "declip"
ENCODERS = {"eva": eva_encoder, "siglip": siglip_encoder, "vit": vit_encoder}


@cache
@torch.inference_mode(False)
def encoder(folder: Path, name: str, pad: str = "before") -> ClipEncoder:
    """An encoder of the family whose images are normalized already."""
    clip = ENCODERS[name](folder)
    clip.pad_mode = pad
    clip.mean.zero_()
    clip.std.fill_(1)
    return clip


@pytest.mark.parametrize("path", cases(FAMILY, "pool_*"))
@torch.inference_mode()
def test_pooling(path: Path) -> None:
    _, name, mode = path.stem.split("_")
    case, clip = tensors(path), encoder(path.parent, name)
    scale = "sqrt_d" if name == "vit" else "none"
    dense = content(clip.tower, clip.run_backbone(case["image"]), mode, scale)
    close(dense, case["dense"], "dense")
    counts = case["counts"].tolist()
    boxes, masks = case["boxes"].split(counts), case["masks"].split(counts)
    close(roi_grid(dense, boxes, 1).flatten(1), case["roi_raw"], "roi_raw")
    close(roi_pool(dense, boxes), case["roi"], "roi")
    close(mask_mean(dense, masks), case["mask_raw"], "mask_raw")
    close(mask_pool(dense, masks), case["mask"], "mask")


@pytest.mark.parametrize("path", cases(FAMILY, "siglip_dense*"))
@torch.inference_mode()
def test_pooling_of_siglip(path: Path) -> None:
    case, clip = tensors(path), encoder(path.parent, "siglip")
    for name in [name for name in case if name.startswith("roi_")]:
        size = name.removeprefix("roi_")
        dense = content(clip.tower, clip.run_backbone(case[f"image_{size}"]), "qq")
        boxes = case[f"boxes_{size}"].split([1, len(case[name]) - 1])
        close(roi_grid(dense, boxes, 1).flatten(1), case[name], name)


def regions_of(case: dict[str, Tensor]) -> dict[str, object]:
    """Boxes, masks and crops of the slots that hold a region, and their labels."""
    slots = case["boxes"]
    valid = slots[..., 5] > 0.5
    return {
        "boxes": [each[kept, :4] for each, kept in zip(slots, valid, strict=True)],
        "masks": [each[kept] for each, kept in zip(case["masks"], valid, strict=True)],
        "crops": case["crops"][valid],
        "labels": slots[valid][:, 4].long(),
    }


@pytest.mark.parametrize("path", cases(FAMILY, "region_eval_*"))
def test_region_classification(path: Path) -> None:
    case, clip = tensors(path), encoder(path.parent, path.stem.split("_")[-1])
    stated = json.loads(path.with_suffix(".json").read_text())
    regions, text = regions_of(case), case["embeddings"]
    labels = regions.pop("labels")
    assert torch.equal(labels, case["labels"].long())
    found = region_features(
        clip,
        case["images"],
        **regions,
        mode=stated["mode"].partition("_")[0],
        attn_scale="sqrt_d" if stated["attn_scaled"] else "none",
    )
    measure = RegionClassification(text, half=True)
    for kind, vectors in found.items():
        cosines = (vectors * normalize(text, dim=1)[labels]).sum(1)
        close(cosines, case[f"sim_{kind}"], f"sim_{kind}")
        assert torch.equal(top_hits(vectors, text, labels), case[f"correct_{kind}"] > 0.5)
        measure.update(kind, vectors, labels, case["is_thing"] > 0.5)
    assert measure.compute() == pytest.approx(stated["results"], abs=1e-9)


@pytest.mark.parametrize("path", cases(FAMILY, "text*"))
@torch.inference_mode()
def test_words(path: Path) -> None:
    case = tensors(path)
    stated = json.loads(path.with_suffix(".json").read_text())
    vit, eva = encoder(path.parent, "vit"), encoder(path.parent, "eva")
    close(eva.encode_text(case["eva_tokens"]), case["eva_features"], "eva_features")
    features = vit.encode_text(case["vit_tokens"])
    close(features, case["vit_features"], "vit_features")
    ensembled = normalize(normalize(features, dim=1).mean(0), dim=0)
    close(ensembled, case["vit_ensembled"], "vit_ensembled")
    if "prompts" in stated:
        assert torch.equal(vit.tokenize(stated["prompts"]).long(), case["vit_tokens"])


def windows_of(case: dict[str, Tensor]) -> WindowGrid:
    """The windows of a case, as ours lie over such an image."""
    crop, stride = (2 * (int(case[name]),) for name in ("crop", "stride"))
    return slide(tuple(case["image"].shape[2:]), crop, stride)


@pytest.mark.parametrize("path", cases(FAMILY, "seg_slide_*"))
@torch.inference_mode()
def test_windows_to_labels(path: Path) -> None:
    case, clip = tensors(path), encoder(path.parent, path.stem.split("_")[-1], "around")
    stated = json.loads(path.with_suffix(".json").read_text())
    grid, size = windows_of(case), tuple(case["ori_shape"].tolist())
    assert [list(box) for box in grid.boxes()] == case["windows"].tolist()
    head = DeClip(
        stated["mode"],
        attn_scale="sqrt_d" if stated["scaled"] else "none",
        temperature=float(case["logit_scale"]),
    )
    prompt_class, threshold = case["query_idx"].tolist(), float(case["prob_thd"])
    scores = head(HeadInput(clip, case["image"][0], case["query_features"], grid))
    options = head.decode_options("around")
    merged = head.decode_options("around", prompt_class)
    probabilities = maps(scores, grid, size, range(len(case["probs"])), merged)
    close(probabilities, case["probs"], "probs")
    every = maps(scores, grid, size, range(len(prompt_class)), options)
    close(every, (case["logits"][0] * head.temperature).softmax(0), "logits")
    found = decode(scores, grid, size, merged, threshold=threshold)
    unsure = (case["margin"] < 1e-3) | ((case["probs"].amax(0) - threshold).abs() < 1e-4)
    same = torch.from_numpy(found.labels).long() == case["pred"]
    assert bool((same | unsure).all())
