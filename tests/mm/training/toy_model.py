"""A model for tests of the training loop: two losses of a picture's mean colour, with dropout."""

from __future__ import annotations

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import nn


@MODELS.register_module(force=True)
class ToySegmentor(BaseModel):
    """Learns mean colours; the loss called `bad` is infinite from one iteration on."""

    def __init__(self, bad_from: int | None = None, data_preprocessor: dict | None = None) -> None:
        super().__init__(data_preprocessor)
        self.layer = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.norm = nn.LayerNorm(3)
        self.bad_from, self.calls = bad_from, 0

    def forward(self, inputs, data_samples=None, mode="loss"):
        colours = torch.stack([picture.float().mean((1, 2)) / 255 for picture in inputs])
        found = self.layer(self.norm(colours))
        self.calls += 1
        bad = self.bad_from is not None and self.calls >= self.bad_from
        return {
            "loss_colour": (found - colours[:, :1]).square().mean(),
            "loss_size": found.abs().mean() * (float("nan") if bad else 0.1),
        }
