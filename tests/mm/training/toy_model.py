"""A model for tests of the training loop: two losses of an image's mean color, with dropout."""

from __future__ import annotations

import os
import signal

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import nn


@MODELS.register_module(force=True)
class ToySegmentor(BaseModel):
    """Learns mean colors; one loss can become no number, or the process can die, at a call."""

    def __init__(
        self,
        bad_from: int | None = None,
        dies_at: int | None = None,
        dropout: float = 0.5,
        width: int = 8,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        self.layer = nn.Sequential(nn.Linear(3, width), nn.Dropout(dropout), nn.Linear(width, 1))
        self.norm = nn.LayerNorm(3)
        self.bad_from, self.dies_at, self.calls = bad_from, dies_at, 0

    def forward(self, inputs, data_samples=None, mode="loss"):
        colors = torch.stack([image.float().mean((1, 2)) / 255 for image in inputs])
        found = self.layer(self.norm(colors))
        self.calls += 1
        if self.calls == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        bad = self.bad_from is not None and self.calls >= self.bad_from
        return {
            "loss_color": (found - colors[:, :1]).square().mean(),
            "loss_size": found.abs().mean() * (float("nan") if bad else 0.1),
        }
