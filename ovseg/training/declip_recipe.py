"""DeCLIP's training: the image encoder of CLIP learns from a vision foundation model and itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ovseg.errors import ConfigError
from ovseg.heads import Head
from ovseg.heads.declip import DeClip
from ovseg.heads.decoupled import check_mode, decoupled
from ovseg.models.clip import ClipEncoder
from ovseg.models.encoder_for import tower_for
from ovseg.models.image_encoder import VisionTower
from ovseg.registry import register_recipe
from ovseg.training.affinity_teachers import AffinityTeacher, build_teacher
from ovseg.training.base import Recipe
from ovseg.training.declip import (
    average_weights,
    content_loss,
    context_affinity,
    freeze_but,
    trainable_names,
)
from ovseg.training.declip_extension import Extension
from ovseg.utils.plain_data import build
from ovseg.utils.shapes import size_of

__all__ = ["DeclipRecipe", "RegionSample"]

_PREFIX = "backbone.clip.model."


class RegionSample(Protocol):
    """What the recipe reads of a data sample.

    Attributes:
        boxes: (K, 4) xyxy of the regions, in parts of the student's square image.
        crops: (K, 3, c, c) uint8 RGB, each region cut out of the image, c the tower's own size.
        vfm_image: (3, s, s) uint8 RGB, the image as the vision foundation model sees it.
        img_path: where the image came from.
    """

    boxes: Tensor
    crops: Tensor
    vfm_image: Tensor
    img_path: str


@register_recipe("DeclipRecipe")
class DeclipRecipe(Recipe):
    """Teaches context by a vision foundation model, and content by CLIP's embedding of crops.

    The student's last block is read as the head reads it (`mode`, `attn_scale`). Its teacher is
    the image encoder as it was before the training. No labels and no words are needed.

    Args:
        vfm: the vision foundation model, see `ovseg.training.affinity_teachers.build_teacher`.
        content_weight: weight of the content loss.
        context_weight: weight of the context loss.
        blocks: how many of the last blocks are trained; None for all.
        alpha: share of the student in the released weights; the rest is the teacher. 1: all of it.
        decoupled: whether the vision foundation model teaches the context features; False teaches
            the content features by both (the ablation of the paper).
        extension: arguments of `ovseg.training.declip_extension.Extension`.

    Raises:
        ConfigError: a value that is not of its kind.
    """

    frozen_parts: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        vfm: str | Mapping[str, Any],
        content_weight: float = 1.0,
        context_weight: float = 0.1,
        blocks: int | None = None,
        alpha: float = 0.7,
        decoupled: bool = True,
        extension: Mapping[str, Any] | None = None,
    ) -> None:
        if alpha < 0 or content_weight < 0 or context_weight < 0:
            raise ConfigError(
                f"alpha {alpha}, content_weight {content_weight}, context_weight {context_weight}",
                where="train_cfg",
                expected="numbers that are not negative",
            )
        self.content_weight, self.context_weight = content_weight, context_weight
        self.blocks, self.alpha, self.decoupled = blocks, alpha, decoupled
        options = {"type": "Extension", **(extension or {})}
        self.extension = build(options, {"Extension": Extension}, "train_cfg.extension")
        self._vfm_options = vfm
        self.vfm: AffinityTeacher | None = None
        self.teacher: VisionTower | None = None

    def prepare(self, clip: ClipEncoder, head: Head) -> None:
        """Free the blocks of the image encoder, and keep a copy of it as the teacher.

        Raises:
            ConfigError: another head, a mode without context, or a tower without such blocks.
        """
        if not isinstance(head, DeClip):
            raise ConfigError(
                "the recipe trains the tower under DeCLIP's head",
                where="train_cfg",
                expected="a decode_head of type DeClipHead",
            )
        check_mode(head.mode, context=True)
        freeze_but(clip.model, trainable_names(clip, head.mode, self.blocks))
        visual = deepcopy(clip.model.visual).requires_grad_(False).eval()
        self.teacher = tower_for(visual, clip.tower.position_rule)

    def prepare_teachers(self, device: torch.device) -> None:
        """Build the vision foundation model."""
        if self.vfm is None:
            self.vfm = build_teacher(self._vfm_options).to(device)

    def losses(
        self,
        clip: ClipEncoder,
        head: Head,
        images: Tensor,
        samples: Sequence[RegionSample] = (),
    ) -> dict[str, Tensor]:
        """Weighted losses of letter-boxed images.

        Args:
            clip: the student.
            head: tells how its last block is read.
            images: (B, 3, S, S) RGB in [0, 1].
            samples: one an image.

        Returns:
            Scalars `loss_content`, `loss_context` and, where the extension asks for it,
            `loss_correlation`.

        Raises:
            ConfigError: samples without regions.
            InputError: a box outside of its image, or a side that is no multiple of the patch.
            CheckpointError: weights of the teacher that cannot be had.
        """
        head = cast("DeClip", head)  # prepare refuses other heads
        clip.tower.grid_of(images)
        boxes, crops = self._regions(samples, images.device)
        features = self._see(samples, images.device)
        wanted = self._embed(clip, crops)
        backbone_tokens = clip.run_backbone(images)
        student = decoupled(clip.tower, backbone_tokens, head.mode, head.attn_scale)
        content = student.content
        with torch.autocast(images.device.type, enabled=False):
            target = self.extension.target(features, [sample.img_path for sample in samples])
            context = student.context if self.decoupled else [content.flatten(2).transpose(1, 2)]
            found = context_affinity(context, backbone_tokens.grid, size_of(features))
            pooled = self.extension.regions(content, boxes, wanted)
            losses = {
                "loss_content": self.content_weight * content_loss(pooled, wanted),
                "loss_context": self.context_weight * self.extension.context_loss(found, target),
            }
            correlation = self.extension.correlation_loss(content, features, boxes)
        return losses if correlation is None else {**losses, "loss_correlation": correlation}

    def average(self, visual: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean of the image encoder's weights and those that it started with (section 8)."""
        return average_weights(
            visual, cast("VisionTower", self.teacher).visual.state_dict(), self.alpha
        )

    def release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take CLIP out of a segmentor's checkpoint, the image encoder averaged."""
        found = {
            name.removeprefix(_PREFIX): tensor
            for name, tensor in state.items()
            if name.startswith(_PREFIX)
        }
        tower = {
            name.removeprefix("visual."): tensor
            for name, tensor in found.items()
            if name.startswith("visual.")
        }
        return {**found, **{f"visual.{k}": v for k, v in self.average(tower).items()}}

    def _regions(
        self, samples: Sequence[RegionSample], device: torch.device
    ) -> tuple[list[Tensor], Tensor]:
        if not samples or not all(hasattr(sample, "crops") for sample in samples):
            raise ConfigError(
                "images without regions",
                where="train_pipeline",
                expected="the transforms RegionTransform and PackRegions",
            )
        boxes = [sample.boxes.to(device) for sample in samples]
        return boxes, torch.cat([sample.crops for sample in samples]).to(device)

    @torch.no_grad()
    def _see(self, samples: Sequence[RegionSample], device: torch.device) -> Tensor:
        """Features (B, C, h, w) of the vision foundation model."""
        self.prepare_teachers(device)
        images = torch.stack([sample.vfm_image for sample in samples]).to(device)
        return cast("AffinityTeacher", self.vfm)(images / 255)

    @torch.no_grad()
    def _embed(self, clip: ClipEncoder, crops: Tensor) -> Tensor:
        """Unit vectors (R, E) of the crops by the teacher."""
        teacher = cast("VisionTower", self.teacher)  # prepare keeps it
        teacher.visual.to(crops.device)
        if not len(crops):
            return torch.zeros(0, clip.embed_dim, device=crops.device)
        backbone_tokens = teacher.run_backbone(clip.pad_and_normalize(crops / 255))
        return normalize(teacher.pooled(backbone_tokens), dim=1)
