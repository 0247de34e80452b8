"""DeCLIP's data, targets, losses and training steps against the reference's arrays."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor
from torch.nn import functional

from ovseg.heads.affinity import affinity
from ovseg.heads.declip import DeClip
from ovseg.heads.decoupled import decoupled
from ovseg.models.clip import ClipEncoder
from ovseg.models.model_config import resolve_normalization
from ovseg.models.vit import VitTower
from ovseg.regions import roi_pool
from ovseg.regions.frames import crop_regions, enlarge, in_frame, letterbox
from ovseg.training.affinity_teachers import sam_features
from ovseg.training.declip import (
    content_loss,
    context_affinity,
    context_loss,
    declip_parameter_groups,
    rate_factor,
)
from ovseg.training.declip_recipe import DeclipRecipe
from ovseg.training.declip_regions import grid_boxes, grid_choices, sample_grid
from ovseg.weights.rename import to_open_clip
from tests.golden.conftest import cases, golden_root, load_npz
from tests.golden.declip_towers import eva_encoder, vit_encoder

FAMILY = "declip"
PIXELS = {"atol": 1e-5, "rtol": 0.0}
EXACT = {"atol": 1e-4, "rtol": 0.0}


def arrays(path: Path) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in load_npz(path).items()}


def beside(path: Path) -> dict:
    return json.loads(path.with_suffix(".json").read_text())


def close(found: Tensor, expected: Tensor, tolerance: dict[str, float] = EXACT) -> None:
    torch.testing.assert_close(found, expected, **tolerance)


GRIDS = sorted((golden_root() / FAMILY).glob("grid.json"))


@pytest.mark.parametrize("path", GRIDS)
def test_grid(path: Path) -> None:
    case = json.loads(path.read_text())
    choices = grid_choices(case["max_split"])
    assert [list(choice) for choice in choices] == case["choices"]
    for name, boxes in case["templates"].items():
        rows, columns = map(int, name.split("x"))
        close(grid_boxes(rows, columns), torch.tensor(boxes), PIXELS)
    for sample in case["samples"]:
        random.seed(sample["seed"])
        width, height = sample["image_wh"]
        boxes = sample_grid(case["max_split"], case["max_boxes"])
        boxes = boxes * torch.tensor([width, height] * 2)
        close(boxes, torch.tensor(sample["boxes_px"]))
        crops = enlarge(boxes, sample["crop_scale"], (height, width))
        close(crops, torch.tensor(sample["crop_px"]))
        rounded = [[round(edge) for edge in box] for box in crops.tolist()]
        assert rounded == sample["crop_px_rounded"]


@pytest.mark.parametrize("path", cases(FAMILY, "dataset_item"))
def test_item(path: Path) -> None:
    case, about = arrays(path), beside(path)
    mean, std = (torch.tensor(about[name]).view(3, 1, 1) for name in ("mean", "std"))
    cells = about["det_image_size"] // about["downsample_factor"]
    seen = {"image": about["det_image_size"], "proxy": cells * about["vfm_patch"]}
    imagenet = resolve_normalization("imagenet", {})
    norms = {"image": (mean, std), "proxy": [torch.tensor(v).view(3, 1, 1) for v in imagenet]}
    for index, (name, seed) in enumerate(zip(about["files"], about["seeds"], strict=True)):
        image = Image.open(path.parent / "images" / name).convert("RGB")
        for kind, side in seen.items():
            square = torch.from_numpy(letterbox(image, side)).permute(2, 0, 1) / 255
            close((square - norms[kind][0]) / norms[kind][1], case[f"{kind}_{index}"], PIXELS)
        random.seed(seed)
        boxes = sample_grid(about["max_split"], about["max_boxes"])
        boxes = boxes * torch.tensor(image.size * 2)
        expected = case[f"boxes_{index}"]
        kept = expected[:, 4] > 0
        close(in_frame(boxes, image.size[::-1]), expected[kept, :4])
        cut = enlarge(boxes, about.get("crop_scale", 1.0), image.size[::-1])
        crops = crop_regions(image, cut, about["crop_size"]) / 255
        close((crops - mean) / std, case[f"crops_{index}"], PIXELS)


@pytest.mark.parametrize("path", cases(FAMILY, "corr_losses"))
def test_affinities_and_losses(path: Path) -> None:
    case = arrays(path)
    context = {part: case[f"ctx_{part}"].transpose(1, 2).flatten(2) for part in "qkv"}
    grid = tuple(case["vfm_feats"].shape[2:])
    found = {
        name: context_affinity([context[part] for part in parts], grid)
        for name, parts in {"qq": "q", "kk": "k", "vv": "v", "csa": "qk", "all": "qkv"}.items()
    }
    for name in ("qq", "kk", "vv"):
        close(found[name], case[f"S_{name}"])
    for name in ("csa", "all"):
        close(found[name], case[f"S_{name}_merged"])
    teacher = affinity(case["vfm_feats"])
    close(teacher, case["T_dinov2"])
    dino = case["dino_tokens"][:, 1:].transpose(1, 2).unflatten(2, grid)
    close(affinity(dino), case["T_dino"])
    close(context_loss(found["qq"], teacher), case["loss_context_qq"])
    close(context_loss(found["csa"], teacher), case["loss_context_csa"])
    diffusion = affinity(functional.interpolate(case["sd_feats"], grid, mode="bilinear"))
    close(diffusion, case["T_sd"])
    both = [context_loss(found["csa"], target) for target in (teacher, diffusion)]
    close(0.9 * both[0] + 0.1 * both[1], case["loss_context_plus_csa"])
    close(content_loss(case["roi_student"], case["crop_teacher"]), case["loss_content"])


@pytest.mark.parametrize("path", sorted((golden_root() / FAMILY).glob("lr_schedule.json")))
def test_schedule(path: Path) -> None:
    for step, rate in json.loads(path.read_text()).items():
        assert 1e-5 * rate_factor(int(step), 1000, 44358) == pytest.approx(rate, rel=1e-9)


class GivenFeatures(torch.nn.Module):
    """A teacher whose features are those of the case, whatever the images."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        return self.features


def samples_of(case: dict[str, Tensor], clip: ClipEncoder) -> list[SimpleNamespace]:
    """The regions of a batch as a data set gives them; the images are normalized in the file."""
    found = []
    for boxes, crops in zip(case["normed_boxes"], case["image_crops"], strict=True):
        kept = boxes[:, 4] > 0
        pixels = (crops[kept] * clip.std + clip.mean) * 255
        image = torch.zeros(3, 8, 8)
        found.append(
            SimpleNamespace(boxes=boxes[kept, :4], crops=pixels, vfm_image=image, img_path="")
        )
    return found


@pytest.mark.parametrize("path", cases(FAMILY, "train_*"))
def test_steps_and_averaged_weights(path: Path) -> None:
    case, about = arrays(path), beside(path)
    clip = (vit_encoder if "vit" in path.stem else eva_encoder)(path.parent)
    mode = about["mode"].partition("_")[0]
    # OpenAI-style towers know one scale, whatever the case says.
    scaled = about["scaled"] or isinstance(clip.tower, VitTower)
    head = DeClip(mode, attn_scale="sqrt_d" if scaled else "none")
    weights = {"content_weight": about["w_content"], "context_weight": about["w_context"]}
    recipe = DeclipRecipe("dinov2-B", alpha=about["alpha"], **weights)
    recipe.prepare(clip, head)
    recipe.vfm = GivenFeatures(case["vfm_feats"])
    wanted = set(clip.model.state_dict())

    def public(names: Iterable[str]) -> dict[str, str]:
        marks = {name: torch.tensor(i) for i, name in enumerate(names)}
        own = to_open_clip({k: v for k, v in marks.items() if k != "logit_scale"}, wanted)
        order = list(marks)
        return {new: order[int(mark)] for new, mark in own.items()}

    trained = {name: p for name, p in clip.model.named_parameters() if p.requires_grad}
    assert trained.keys() == public(about["trainable"]).keys()
    groups = declip_parameter_groups(clip.model, about["wd"])
    plain = {id(p) for p in groups[0]["params"]}
    assert {n for n, p in trained.items() if id(p) in plain} == public(about["no_decay"]).keys()
    optimizer = torch.optim.AdamW(
        groups, lr=about["base_lr"], betas=tuple(about["betas"]), eps=about["eps"]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_factor(step, about["warmup"], about["total_steps"])
    )
    images, samples = case["images"] * clip.std + clip.mean, samples_of(case, clip)
    names = public(about["trainable"])
    for step in about["steps"]:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(step["lr"])
        losses = recipe.losses(clip, head, images, samples)
        for name, loss in losses.items():
            assert loss.item() == pytest.approx(step[name], abs=1e-4)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        norms = {name: p.grad.norm() for name, p in trained.items()}
        total = float(torch.stack(list(norms.values())).norm())
        assert total == pytest.approx(step["grad_norm_total"], rel=1e-4)
        for name, norm in norms.items():
            if "grad_norms" in step:
                assert float(norm) == pytest.approx(step["grad_norms"][names[name]], rel=1e-4)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        for name, loss in recipe.losses(clip, head, images, samples).items():
            assert loss.item() == pytest.approx(about["after"][name], abs=1e-4)
        boxes = [sample.boxes for sample in samples]
        dense = decoupled(clip.tower, clip.run_backbone(images), mode, head.attn_scale).content
        close(roi_pool(dense, boxes), case["student_roi_after"])
    state = clip.model.state_dict()
    released = recipe.release({f"backbone.clip.model.{k}": v for k, v in state.items()})
    for found, expected in ((state, "student_norms_after"), (released, "ensemble_norms")):
        for name, own in public(about[expected]).items():
            norm = float(found[name].norm())
            assert norm == pytest.approx(about[expected][own], rel=1e-4, abs=1e-4)
    clip.model.load_state_dict(released)
    with torch.no_grad():
        dense = decoupled(clip.tower, clip.run_backbone(images[:1]), mode, head.attn_scale).content
    close(dense, case["ensemble_dense"])


@pytest.mark.parametrize("path", cases(FAMILY, "sam_encoder"))
@torch.no_grad()
def test_sam_at_other_sizes(path: Path) -> None:
    case, about = arrays(path), beside(path)
    about.pop("size")
    options = {"patch_size": 16, "use_rel_pos": True, **about}
    encoder = ImageEncoderViT(norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), **options)
    encoder.load_state_dict(load_file(path.with_suffix(".safetensors")))
    for name, expected in case.items():
        if name.startswith("feats_"):
            close(sam_features(encoder, case[name.replace("feats", "image")]), expected)
