"""Mask-adapted CLIP (OVSeg) against the reference's arrays: words, regions, embeddings, fusion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from ovseg.heads import MaskAdaptedClip
from ovseg.inference.decode import decode, maps
from ovseg.inference.head_input import HeadInput
from ovseg.inference.tiles import DecodeOptions
from ovseg.inference.windows import whole
from ovseg.masks.crops import MaskCrops, binarize, cut_regions, expand_boxes, keep_flags, mask_boxes
from ovseg.masks.mask_prompts import class_features, region_side
from ovseg.masks.proposer import MaskProposals, Proposer
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.prompts.text_bank import TextBank
from tests.golden.conftest import cases, load_npz

FEATURES = {"atol": 1e-4, "rtol": 0.0}
SCALED = {"atol": 1e-3, "rtol": 0.0}
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
TEMPLATES = {"vild": "vild14", "imagenet": "imagenet80", "single": ["a photo of a {}."]}


def encoder(folder: Path) -> tuple[ClipEncoder, Tensor]:
    """Both towers, and the prompts."""
    visual = load_file(folder / "clip_visual.safetensors")
    prompts = visual.pop("visual.mask_embedding").float()
    clip = build_clip(folder / "clip.json", None)
    text = load_file(folder / "clip_text.safetensors")
    clip.model.load_state_dict({k: v.float() for k, v in (visual | text).items()}, strict=True)
    return clip, prompts


def close(actual: Tensor, expected: object, tolerance: dict[str, float]) -> None:
    torch.testing.assert_close(actual, torch.as_tensor(expected), **tolerance)


def regions_of(case: dict, side: int) -> tuple[Tensor, Tensor, Tensor, MaskCrops]:
    """Flags, boxes, crops and regions of a case; pixels in [0, 1]."""
    image = torch.from_numpy(case["image"]).permute(2, 0, 1).float() / 255
    prob = torch.from_numpy(case["masks"])
    hard = binarize(prob, float(case["mask_thr"]))
    valid = hard.flatten(1).any(1)
    boxes = mask_boxes(hard[valid])
    crops = expand_boxes(boxes, float(case["expand_ratio"]), tuple(image.shape[1:]))
    fill = MEAN if case["fill"] == "mean" else torch.zeros(3, 1, 1)
    keep = prob if case["matting"] else hard
    return valid, boxes, crops, cut_regions(image, keep[valid], crops, side=side, fill=fill)


@pytest.mark.parametrize("path", cases("mask_adapted", "text*"))
@torch.inference_mode()
def test_words(path: Path) -> None:
    case, (clip, _) = load_npz(path), encoder(path.parent)
    names = case["names"].tolist()
    empty = functional.normalize(torch.from_numpy(case["non_object_embedding"]))
    tokens = clip.tokenize([f"This is a photo of a {name}" for name in names])
    assert torch.equal(tokens, torch.from_numpy(case["tokens_template1"]))
    close(clip.encode_text(tokens), case["raw_template1"], FEATURES)
    for name, templates in TEMPLATES.items():
        rows = TextBank(clip, templates, cache_dir=None).encode(names)
        close(rows, case[name][:-1], FEATURES)
    # Each template set was encoded by an adapter with a random row of its own for "no object"; the
    # stored one is that of the first.
    close(empty, case["vild"][-1:], FEATURES)


@pytest.mark.parametrize("path", cases("mask_adapted", "regions*"))
def test_regions(path: Path) -> None:
    case, (clip, _) = load_npz(path), encoder(path.parent)
    valid, boxes, crops, regions = regions_of(case, region_side(clip.tower))
    assert torch.equal(valid, torch.from_numpy(case["valid"]))
    assert torch.equal(boxes, torch.from_numpy(case["boxes"]).long())
    assert torch.equal(crops, torch.from_numpy(case["crops"]))
    close(255 * regions.pixels[..., ::7, ::7], case["unnorm_s7"], SCALED)
    normalized = clip.pad_and_normalize(regions.pixels)
    close(normalized[..., ::7, ::7], case["regions_s7"], FEATURES)
    close(normalized[0, :, ::2, ::2], case["region0_s2"], FEATURES)
    close(regions.masks, torch.from_numpy(case["region_masks"]).float(), FEATURES)
    flags = keep_flags(regions.masks, clip.patch_size)
    assert torch.equal(flags, torch.from_numpy(case["patch_keep"]).bool())


@pytest.mark.parametrize("path", cases("mask_adapted", "region_embed*"))
@torch.inference_mode()
def test_region_embeddings(path: Path) -> None:
    case, (clip, prompts) = load_npz(path), encoder(path.parent)
    tower, side = clip.tower, region_side(clip.tower)
    regions = regions_of(load_npz(path.with_name("regions.npz")), side)[-1]
    images, keep = (
        clip.pad_and_normalize(regions.pixels),
        keep_flags(regions.masks, clip.patch_size),
    )
    seen: dict[str, Tensor] = {}
    blocks = tower.visual.transformer.resblocks
    watched = {"ln_pre_in": tower.visual.ln_pre, "last_cls": tower.visual.ln_post}
    watched |= {f"block{i}_in": blocks[i].ln_1 for i in (1, 2)}
    hooks = [
        module.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
        for name, module in watched.items()
    ]
    found = functional.normalize(class_features(tower, images, keep, prompts))
    for hook in hooks:
        hook.remove()
    for name, tokens in seen.items():
        close(tokens[: len(case[name])], case[name], FEATURES)
    text = torch.from_numpy(case["text"])
    close(found, case["embed"], FEATURES)
    close(100 * found @ text.T, case["logits"], SCALED)
    plain = functional.normalize(class_features(tower, images))
    close(plain, case["embed_noprompt"], FEATURES)
    close(100 * plain @ text.T, case["logits_noprompt"], SCALED)
    shared = functional.normalize(class_features(tower, images, keep, prompts[:, :1]))
    close(shared, case["embed_shared_prompt"], FEATURES)


class Stored(Proposer):
    """Proposes what a case has."""

    def __init__(self, case: dict, text_embeddings: Tensor) -> None:
        super().__init__()
        self.logits = torch.from_numpy(case["mask_logits"])
        embed = functional.normalize(torch.from_numpy(case["query_embed"]), dim=1)
        self.class_logits = 100 * embed @ text_embeddings.T

    def propose(self, request: HeadInput) -> MaskProposals:
        padded = [4 * side for side in self.logits.shape[1:]]
        masks = functional.interpolate(self.logits[None], padded, mode="bilinear")[0]
        height, width = request.size
        return MaskProposals(masks[:, :height, :width].sigmoid(), self.class_logits)


RUNS = {
    "main": {},
    "alt": {},
    "noens": {"ensemble": False},
    "cliponly": {"weight": 0.0},
    "demo": {"weight": 0.0, "rule": "best"},
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("path", cases("mask_adapted", "fusion*"))
@torch.inference_mode()
def test_fusion(path: Path, run: str) -> None:
    case, (clip, prompts) = load_npz(path), encoder(path.parent)
    rows = torch.from_numpy(load_npz(path.with_name("text.npz"))["vild"])
    names = case["names"].tolist()
    text = TextBank(clip, "vild14", cache_dir=None).encode(names)
    rows = torch.cat([text, rows[-1:]])
    image = torch.from_numpy(case["image"]).permute(2, 0, 1).float() / 255

    def setting(name: str) -> object:
        value = case.get(f"{run}_{name}", case[f"main_{name}"])
        return value.item()

    options = {"weight": setting("weight"), **RUNS[run]}
    head = MaskAdaptedClip(
        {"type": "PrecomputedMaskProposer"},
        prompts=False,
        mask_threshold=setting("thr"),
        fill=setting("fill"),
        **options,
    )
    head.source = Stored(case, rows)
    if setting("prompt"):
        head.mask_embedding = torch.nn.Parameter(prompts)
    out_size = tuple(case["out_size"].tolist())
    scores = head(HeadInput(clip, image, text, whole(tuple(image.shape[1:])), batch=4))

    def painted(size: tuple[int, int]) -> Tensor:
        return maps(scores, whole(size), size, range(len(names)), DecodeOptions(score_type="probs"))

    found = head.source.propose(HeadInput(clip, image, text, whole(tuple(image.shape[1:]))))
    if run == "main":
        close(found.class_logits, case["prop_logits"], SCALED)
        close(found.prob[:, ::4, ::4], case["mask_prob_s4"], FEATURES)
        close(painted(tuple(image.shape[1:])), case["main_semseg_testsize"], FEATURES)
        close(painted(out_size), case["main_semseg"], FEATURES)
    else:
        close(painted(out_size)[:, ::3, ::3], case[f"{run}_semseg_s3"], FEATURES)
    if f"{run}_valid" in case:
        valid = binarize(found.prob, head.mask_threshold).flatten(1).any(1)
        assert torch.equal(valid, torch.from_numpy(case[f"{run}_valid"]))
    if f"{run}_clip_logits" in case:
        features = head.region_features(clip, image, found.prob[valid])
        close(100 * features @ rows.T, case[f"{run}_clip_logits"], SCALED)
    labels = decode(scores, whole(out_size), out_size, DecodeOptions(score_type="probs")).labels
    assert (labels != case[f"{run}_labels"]).mean() <= 0.001
