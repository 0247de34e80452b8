"""DeCLIP's data, targets, losses and training steps against the reference's arrays."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional

from ovseg.encoders.model_config import resolve_normalization
from ovseg.heads.affinity import affinity
from ovseg.training.declip import (
    content_loss,
    context_affinity,
    context_loss,
    rate_factor,
)
from ovseg.training.declip_regions import (
    crop_regions,
    enlarge,
    grid_boxes,
    grid_choices,
    in_frame,
    letterbox,
    sample_grid,
)
from tests.golden.conftest import cases, golden_root, load_npz

FAMILY = "declip"
PIXELS = {"atol": 1e-5, "rtol": 0.0}
EXACT = {"atol": 1e-4, "rtol": 0.0}


def arrays(path: Path) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in load_npz(path).items()}


def beside(path: Path) -> dict:
    return json.loads(path.with_suffix(".json").read_text())


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: dict[str, float] = EXACT) -> None:
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
        picture = Image.open(path.parent / "images" / name).convert("RGB")
        for kind, side in seen.items():
            square = torch.from_numpy(letterbox(picture, side)).permute(2, 0, 1) / 255
            close((square - norms[kind][0]) / norms[kind][1], case[f"{kind}_{index}"], PIXELS)
        random.seed(seed)
        boxes = sample_grid(about["max_split"], about["max_boxes"])
        boxes = boxes * torch.tensor(picture.size * 2)
        expected = case[f"boxes_{index}"]
        kept = expected[:, 4] > 0
        close(in_frame(boxes, picture.size[::-1]), expected[kept, :4])
        crops = crop_regions(picture, boxes, about["crop_size"]) / 255
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
