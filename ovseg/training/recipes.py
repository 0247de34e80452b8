"""How heads are trained: the frozen teachers, and the losses of a batch of images.

A recipe is built from plain data, the `train_cfg` of a model. Teachers are built when a training
starts (`prepare_teachers`), so that a configuration with a recipe tests without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ovseg.errors import ConfigError
from ovseg.heads import Head
from ovseg.heads.clip_dinoiser import ClipDinoiser
from ovseg.models.clip import ClipEncoder
from ovseg.models.dino import DinoEncoder, build_dino
from ovseg.models.found import FoundEncoder, build_found
from ovseg.registry import RECIPES, register_recipe
from ovseg.training.base import Recipe
from ovseg.training.dinoiser import (
    GAMMA,
    affinity_prediction,
    affinity_target,
    dinoiser_losses,
    foreground_target,
)
from ovseg.utils.plain_data import build
from ovseg.utils.shapes import size_of

__all__ = ["DinoiserRecipe", "build_recipe"]


@register_recipe("DinoiserRecipe")
class DinoiserRecipe(Recipe):
    """CLIP-DINOiser's training: two convolutions learn DINO's affinity and FOUND's foreground.

    Nothing but the convolutions is trained, and nothing but images is needed (section 3.3 of the
    paper). Every frozen tower sees a batch once.

    Args:
        dino: arguments of `ovseg.models.dino.build_dino`.
        found: arguments of `ovseg.models.found.build_found`; None teaches no foreground, and the
            background convolution stays as it is.
        gamma: least cosine of patches that are alike to DINO.
        feats_type: what of DINO's last block is compared: "v", "k" or "q".
    """

    def __init__(
        self,
        dino: Mapping[str, Any],
        found: Mapping[str, Any] | None = None,
        gamma: float = GAMMA,
        feats_type: str = "v",
    ) -> None:
        self._dino_options, self._found_options = dino, found
        self.gamma, self.feats_type = gamma, feats_type
        self.dino: DinoEncoder | None = None
        self.found: FoundEncoder | None = None

    def prepare(self, clip: ClipEncoder, head: Head) -> None:
        """Freeze the background convolution where nobody teaches it.

        Raises:
            ConfigError: the head has no convolutions.
        """
        if not isinstance(head, ClipDinoiser) or head.mode != "trained":
            raise ConfigError(
                "the recipe trains the convolutions of CLIP-DINOiser",
                where="train_cfg",
                expected='a decode_head of type ClipDinoiserHead with mode="trained"',
            )
        head.requires_grad_(True)
        head.bkg_decoder.requires_grad_(self._found_options is not None)

    def prepare_teachers(self, device: torch.device) -> None:
        """Build DINO and, where it teaches, FOUND."""
        if self.dino is None:
            self.dino = build_dino(**self._dino_options, device=device).requires_grad_(False)
            if self._found_options is not None:
                self.found = build_found(**self._found_options, device=device)
                self.found.requires_grad_(False)

    def losses(
        self, clip: ClipEncoder, head: Head, images: Tensor, samples: Sequence[Any] = ()
    ) -> dict[str, Tensor]:
        """Compare the head's affinity and foreground with those of the teachers.

        Args:
            clip: the encoder, frozen.
            head: a `ClipDinoiser` in trained mode.
            images: (B, 3, H, W) RGB in [0, 1], sides multiples of the patches.
            samples: not looked at.

        Returns:
            Scalars `loss_corr` and, with FOUND, `loss_bkg`.

        Raises:
            ConfigError: DINO and CLIP cut the images into different patches.
            CheckpointError: weights of a teacher that cannot be had.
        """
        head = cast("ClipDinoiser", head)  # prepare refuses other heads
        self.prepare_teachers(images.device)
        with torch.no_grad():
            backbone_tokens = clip.run_backbone(images, head.return_intermediates)
            final = head.feats_idx == "final"
            features = (
                clip.dense_features(backbone_tokens, "value").features
                if final
                else backbone_tokens.tokens
            )
            inner = head.intermediate_map(clip, backbone_tokens, features)
            seen = cast("DinoEncoder", self.dino)(images, self.feats_type)
            _check_grids(backbone_tokens.grid, size_of(seen))
            alike = affinity_target(seen, self.gamma)
            foreground = None
            if self.found is not None:
                foreground = foreground_target(self.found.foreground(images, backbone_tokens.grid))
        prediction = affinity_prediction(head.obj_proj(inner))
        background = head.background_logits(inner)
        return dinoiser_losses(prediction, background, alike, foreground)


def build_recipe(data: Mapping[str, Any]) -> Recipe:
    """Build a recipe from the `train_cfg` of a model.

    Raises:
        ConfigError: an unknown type, key or value.
    """
    return build(data, RECIPES, "train_cfg")


def _check_grids(clip: tuple[int, int], dino: tuple[int, int]) -> None:
    if tuple(clip) != tuple(dino):
        raise ConfigError(
            f"CLIP sees {clip[0]} x {clip[1]} patches, DINO {dino[0]} x {dino[1]}",
            where="train_cfg.dino",
            expected="a DINO with CLIP's patch size",
        )
