"""CLIP-DINOiser's recipe: what it trains, what it refuses, and its losses on the golden step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ovseg.errors import ConfigError
from ovseg.heads import MaskClip
from ovseg.heads.clip_dinoiser import ClipDinoiser
from ovseg.models.clip import build_clip
from ovseg.training.recipes import build_recipe
from tests.golden.conftest import cases
from tests.golden.test_maskclip_dinoiser import close, encoder, tensors

DINO = {"model": "asset:dino_tiny", "pretrained": None}
TOLERANCE = {"atol": 1e-4, "rtol": 0.0}
STEPS = [path for path in cases("maskclip_dinoiser", "cd_train*") if "trained" not in path.stem]


@pytest.mark.parametrize("path", STEPS)
def test_losses_of_the_published_step(path: Path) -> None:
    case, folder = tensors(path), path.parent
    weights = load_file(folder / "dinoiser_head.safetensors")
    channels, width = weights["obj_proj.weight"].shape[:2]
    head = ClipDinoiser(in_channels=width, channels=channels)
    head.load_state_dict(weights)
    files = {
        name: {
            "model": str(folder / f"tiny_{name}.json"),
            "pretrained": str(folder / f"tiny_{name}.safetensors"),
        }
        for name in ("dino", "found")
    }
    recipe = build_recipe({"type": "DinoiserRecipe", **files})
    clip = encoder(folder, None)
    recipe.prepare(clip, head)
    images = case["batches"][0].permute(0, 3, 1, 2).float() / 255
    losses = recipe.losses(clip, head, images)
    for name in ("loss_corr", "loss_bkg"):
        close(losses[name].flatten(), case[f"it0.{name}"].flatten(), TOLERANCE)
    sum(losses.values()).backward()
    for name, parameter in head.named_parameters():
        if f"it0.grad.{name}" in case:
            expected = case[f"it0.grad.{name}"]
            close(parameter.grad.view_as(expected), expected, {"atol": 1e-5, "rtol": 0.0})


def test_without_found_the_background_is_not_trained():
    head = ClipDinoiser(in_channels=128, channels=8)
    recipe = build_recipe({"type": "DinoiserRecipe", "dino": DINO})
    clip = build_clip("asset:clip_tiny", None)
    recipe.prepare(clip, head)
    trained = {name for name, p in head.named_parameters() if p.requires_grad}
    assert trained == {"obj_proj.weight", "obj_proj.bias"}
    losses = recipe.losses(clip, head, torch.rand(2, 3, 32, 40))
    assert losses.keys() == {"loss_corr"}
    assert not any(p.requires_grad for p in recipe.dino.parameters())


def test_a_dino_of_another_patch_is_refused():
    dino = {**DINO, "model": {"img_size": 32, "patch_size": 16, "embed_dim": 16, "num_heads": 2}}
    head = ClipDinoiser(in_channels=128, channels=8)
    recipe = build_recipe({"type": "DinoiserRecipe", "dino": dino})
    with pytest.raises(ConfigError, match="CLIP sees 4 x 4 patches, DINO 2 x 2"):
        recipe.losses(build_clip("asset:clip_tiny", None), head, torch.rand(1, 3, 32, 32))


def test_another_head_is_refused():
    recipe = build_recipe({"type": "DinoiserRecipe", "dino": DINO})
    with pytest.raises(ConfigError, match="ClipDinoiserHead"):
        recipe.prepare(build_clip("asset:clip_tiny", None), MaskClip())


def test_an_unknown_key_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'gamma'"):
        build_recipe({"type": "DinoiserRecipe", "dino": DINO, "gama": 0.1})
