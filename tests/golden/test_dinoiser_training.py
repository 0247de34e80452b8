"""Steps of CLIP-DINOiser's training against the reference's arrays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ovseg.training.dinoiser import (
    WEIGHT_DECAY,
    affinity_prediction,
    affinity_target,
    dinoiser_losses,
    dinoiser_parameter_groups,
    foreground_target,
    milestone_factor,
)
from tests.golden.conftest import cases
from tests.golden.test_dinoiser_towers import EXACT, FAMILY, dino, found
from tests.golden.test_maskclip_dinoiser import close, encoder, tensors

LOSSES = {"atol": 1e-4, "rtol": 0.0}


def convolutions(folder: Path) -> nn.ModuleDict:
    """The two convolutions as the run starts with them."""
    state = load_file(folder / "dinoiser_head.safetensors")
    out, width = state["obj_proj.weight"].shape[:2]
    modules = nn.ModuleDict(
        {
            "obj_proj": nn.Conv2d(width, out, 3, padding=1, padding_mode="replicate"),
            "bkg_decoder": nn.Conv2d(width, 1, 1),
        }
    )
    modules.load_state_dict(state)
    return modules


def milestone_of(case: dict[str, Tensor]) -> int:
    """First step with smaller rates than the first one."""
    rates = case["lr"][:, 0]
    return int((rates < rates[0]).nonzero()[0])


@torch.no_grad()
def inputs(images: Tensor, folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """(inner map of CLIP, affinity target, foreground target) of a batch in [0, 1]."""
    trunk = encoder(folder, None).run_backbone(images, ["ln_2@-3"])
    inner = trunk.intermediates["ln_2@-3"][:, 1:].transpose(1, 2).unflatten(2, trunk.grid)
    foreground = found(folder).foreground(images, trunk.grid)
    return inner, affinity_target(dino(folder)(images, "v")), foreground_target(foreground)


@pytest.mark.parametrize("path", cases(FAMILY, "cd_train"))
def test_steps(path: Path) -> None:
    case, head = tensors(path), convolutions(path.parent)
    optimizer = torch.optim.AdamW(dinoiser_parameter_groups(head))
    milestone = milestone_of(case)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: milestone_factor(step, milestone)
    )
    assert [g["weight_decay"] for g in optimizer.param_groups] == [WEIGHT_DECAY] * 2
    for step, batch in enumerate(case["batches"]):
        rates = torch.tensor([group["lr"] for group in optimizer.param_groups])
        close(rates, case["lr"][step], {"atol": 0.0, "rtol": 1e-6})
        inner, alike, foreground = inputs(batch.permute(0, 3, 1, 2) / 255, path.parent)
        assert torch.equal(alike, case[f"it{step}.target_corr"].float())
        assert torch.equal(foreground, case[f"it{step}.target_bkg"].float())
        prediction = affinity_prediction(head["obj_proj"](inner))
        background = head["bkg_decoder"](nn.functional.normalize(inner, dim=1))
        close(background.flatten(2).detach(), case[f"it{step}.pred_bkg"], LOSSES)
        if f"it{step}.pred_corr" in case:
            close(prediction.detach(), case[f"it{step}.pred_corr"], EXACT)
        losses = dinoiser_losses(prediction, background, alike, foreground)
        for name, loss in losses.items():
            close(loss.detach(), case[f"it{step}.{name}"], LOSSES)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        check_gradients(head, case, step)
        optimizer.step()
        schedule.step()
        for name, parameter in head.named_parameters():
            if f"it{step}.param.{name}" in case:
                close(parameter.detach(), case[f"it{step}.param.{name}"], LOSSES)


def check_gradients(head: nn.Module, case: dict[str, Tensor], step: int) -> None:
    for name, parameter in head.named_parameters():
        if f"it{step}.grad.{name}" in case:
            close(parameter.grad, case[f"it{step}.grad.{name}"], EXACT)
        close(parameter.grad.norm(), case[f"it{step}.gradnorm.{name}"], LOSSES)
