"""Targets, losses and groups of CLIP-DINOiser's training on small numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ovseg.training.dinoiser import (
    affinity_prediction,
    affinity_target,
    dinoiser_losses,
    dinoiser_parameter_groups,
    foreground_target,
)


def test_targets() -> None:
    features = torch.tensor([[1.0, 1.0, 0.0], [0.0, 6.0, 1.0]]).view(1, 2, 1, 3)
    expected = [[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]]
    assert affinity_target(features).tolist() == expected
    soft = torch.tensor([0.2, 0.5, 0.7, 0.51]).view(1, 1, 2, 2)
    assert foreground_target(soft).tolist() == [[[0.0, 0.0, 1.0, 1.0]]]


def test_no_gradient_where_the_cosine_is_below_zero() -> None:
    projected = torch.tensor([[1.0, -1.0], [0.0, 0.1]]).view(1, 2, 1, 2).requires_grad_()
    prediction = affinity_prediction(projected)
    assert float(prediction[0, 0, 1]) == 0
    (grad,) = torch.autograd.grad(prediction[0, 0, 1], projected)
    assert torch.equal(grad, torch.zeros_like(grad))


def test_losses_are_means_of_cross_entropies() -> None:
    losses = dinoiser_losses(
        torch.ones(2, 4, 4), torch.zeros(2, 1, 2, 2), torch.ones(2, 4, 4), torch.ones(2, 1, 4)
    )
    assert float(losses["loss_corr"]) == pytest.approx(math.log1p(math.exp(-1)), abs=1e-6)
    assert float(losses["loss_bkg"]) == pytest.approx(math.log(2), abs=1e-6)


def test_groups_hold_every_weight_once_with_the_published_rates() -> None:
    head = nn.Module()
    head.obj_proj, head.bkg_decoder = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 1, 1)
    groups = dinoiser_parameter_groups(head)
    assert [(g["lr"], g["weight_decay"]) for g in groups] == [(5e-5, 0.01), (1e-2, 0.01)]
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in head.parameters())
