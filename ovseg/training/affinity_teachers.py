"""Vision foundation models that tell which patches belong together.

Every teacher turns images into one map of features, whose cosines are the affinity of the
patches. Source: DeCLIP (CVPR 2025), which compares DINOv2, DINO and SAM.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from ovseg.errors import ConfigError
from ovseg.models.dino import build_dino
from ovseg.models.model_config import resolve_normalization
from ovseg.models.position_embedding import resize_positions
from ovseg.models.sam import build_sam
from ovseg.utils.plain_data import build

__all__ = [
    "TEACHERS",
    "VFMS",
    "AffinityTeacher",
    "DinoTeacher",
    "SamTeacher",
    "build_teacher",
    "sam_features",
]


class AffinityTeacher(nn.Module, ABC):
    """A frozen model that sees images of any size whose sides are multiples of its patch."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Features (B, C, h, w) of images (B, 3, H, W), RGB in [0, 1]."""


class DinoTeacher(AffinityTeacher):
    """DINO or DINOv2: the last block's output after the final norm, patches only.

    Args:
        model: as in `ovseg.models.dino.build_dino`.
        pretrained: likewise.
        position_rule: "plus_0.1" as DINO resizes its table, "antialias" as DINOv2 with registers.
    """

    def __init__(
        self,
        model: str | Mapping[str, Any],
        pretrained: str | Path | None,
        position_rule: str = "plus_0.1",
    ) -> None:
        super().__init__()
        self.dino = build_dino(model, pretrained, position_rule=position_rule)

    def forward(self, images: Tensor) -> Tensor:
        """Features of the images."""
        return self.dino(images, "out")


class SamTeacher(AffinityTeacher):
    """The image encoder of SAM: its output after the neck, at any size.

    Args:
        model: as in `ovseg.models.sam.build_sam`.
        pretrained: likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: str | Mapping[str, Any], pretrained: str | Path | None) -> None:
        super().__init__()
        self.encoder = build_sam(model, pretrained).model.image_encoder
        # DeCLIP prepares its images as for DINO; SAM's own numbers are these, but rounded.
        mean, std = (torch.tensor(v) for v in resolve_normalization("imagenet", {}))
        self.register_buffer("mean", mean.view(3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of the images."""
        return sam_features(self.encoder, (images.to(self.mean) - self.mean) / self.std).float()


def sam_features(encoder: ImageEncoderViT, images: Tensor) -> Tensor:
    """SAM's image encoder at another size than its own.

    The absolute position table is resized bicubically; segment_anything itself resizes the
    relative ones.

    Args:
        encoder: the encoder.
        images: (B, 3, H, W) normalized, sides multiples of the patch.

    Returns:
        (B, C, h, w), after the neck.
    """
    tokens = encoder.patch_embed(images)
    if encoder.pos_embed is not None:
        native, grid = tuple(encoder.pos_embed.shape[1:3]), tuple(tokens.shape[1:3])
        table = encoder.pos_embed[0].flatten(0, 1)
        table = resize_positions(table, grid, native=native, prefix=0)
        tokens = tokens + table.unflatten(0, grid)
    for block in encoder.blocks:
        tokens = block(tokens)
    return encoder.neck(tokens.permute(0, 3, 1, 2))


TEACHERS: dict[str, type[AffinityTeacher]] = {"DinoTeacher": DinoTeacher, "SamTeacher": SamTeacher}
"""Teachers by the names that configurations use."""

_DINOV2 = {"type": "DinoTeacher", "pretrained": "lvd142m", "position_rule": "antialias"}
_DINO = {"type": "DinoTeacher", "pretrained": "dino"}
_SAM = {"type": "SamTeacher", "pretrained": "sa1b"}

VFMS: dict[str, dict[str, Any]] = {
    "dinov2-B": {**_DINOV2, "model": "vit_base_patch14_reg4_dinov2"},
    "dinov2-L": {**_DINOV2, "model": "vit_large_patch14_reg4_dinov2"},
    "dino-B-8": {**_DINO, "model": "vit_base_patch8_224"},
    "dino-B-16": {**_DINO, "model": "vit_base_patch16_224"},
    "sam-B": {**_SAM, "model": "vit_b"},
    "sam-L": {**_SAM, "model": "vit_l"},
}
"""The published teachers by DeCLIP's names. Their patches are 14, 14, 8, 16, 16 and 16 pixels."""


def build_teacher(vfm: str | Mapping[str, Any]) -> AffinityTeacher:
    """Build a frozen teacher in eval mode.

    Args:
        vfm: a name of `VFMS`, or a type of `TEACHERS` with its arguments.

    Raises:
        ConfigError: an unknown name, type or argument.
        CheckpointError: weights that cannot be had, read or fitted.
    """
    if isinstance(vfm, str):
        if vfm not in VFMS:
            raise ConfigError(
                f"unknown vision foundation model {vfm!r}",
                where="train_cfg.vfm",
                expected=f"one of {', '.join(VFMS)}, or a type of {', '.join(TEACHERS)} with "
                "model and pretrained",
            )
        vfm = VFMS[vfm]
    return build(vfm, TEACHERS, "train_cfg.vfm").requires_grad_(False).eval()
