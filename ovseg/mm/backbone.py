"""CLIP as a backbone of mmseg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from ovseg.errors import ConfigError
from ovseg.mm.checkpoints import keep_hash_true, require_whole
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.models.image_encoder import BackboneTokens
from ovseg.utils.shapes import size_of

__all__ = ["ClipBackbone", "ClipFeatures", "ClipTokenBackbone"]


@dataclass(frozen=True)
class ClipFeatures:
    """What a head needs of a batch.

    Attributes:
        backbone_tokens: tokens before the last block of the image encoder.
        clip: the encoder, which reads the last block out and embeds words.
        size: (height, width) of the images in pixels, before padding.
    """

    backbone_tokens: BackboneTokens
    clip: ClipEncoder
    size: tuple[int, int]


@MODELS.register_module()
class ClipBackbone(nn.Module):
    """Runs all blocks but the last of CLIP's image encoder; the head reads the last one out.

    Args:
        model: the model, as in `ovseg.models.clip.build_clip`.
        pretrained: its weights, likewise.
        clip: an encoder that is built already, in place of the other arguments.
        return_intermediates: inner tokens that the head needs, as in `ClipEncoder.run_backbone`.
        **options: further arguments of `build_clip`.

    Attributes:
        clip: the encoder.
    """

    def __init__(
        self,
        model: Any = None,
        pretrained: str | Path | None = None,
        *,
        clip: ClipEncoder | None = None,
        return_intermediates: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__()
        self.return_intermediates = tuple(return_intermediates)
        self.clip = build_clip(model, pretrained, **options) if clip is None else clip
        require_whole(self)
        keep_hash_true(self.clip)

    def forward(self, inputs: Tensor) -> ClipFeatures:
        """Encode a batch.

        Args:
            inputs: (B, 3, H, W) RGB from 0 to 255, as `SegDataPreProcessor(bgr_to_rgb=True)`
                gives them.

        Raises:
            ConfigError: the images are normalized already, or were not put into a batch.
        """
        if not isinstance(inputs, Tensor):
            raise ConfigError(
                f"images come as a {type(inputs).__name__}, not as a batch",
                where="data_preprocessor",
                expected="RGB from 0 to 255, (B, 3, H, W)",
                fix="give the model data_preprocessor=dict(type='SegDataPreProcessor', "
                "bgr_to_rgb=True)",
            )
        refuse_normalized(inputs)
        backbone_tokens = self.clip.run_backbone(inputs / 255, self.return_intermediates)
        return ClipFeatures(backbone_tokens, self.clip, size_of(inputs))


@MODELS.register_module()
class ClipTokenBackbone(nn.Module):
    """CLIP's image encoder as an ordinary backbone, to be tuned under any decode head of mmseg.

    Only the image encoder is kept: no words are encoded.

    Args:
        model: the model, as in `ovseg.models.clip.build_clip`.
        pretrained: its weights, likewise.
        attention_mode: how the last block is read, one of
            `ovseg.models.last_block.ATTENTION_MODES`.
        **options: further arguments of `build_clip`.

    Attributes:
        visual: the image encoder; all of it is trained.
    """

    def __init__(
        self,
        model: Any,
        pretrained: str | Path | None = None,
        attention_mode: str = "value",
        **options: Any,
    ) -> None:
        super().__init__()
        clip = build_clip(model, pretrained, **options)
        self.attention_mode = attention_mode
        self.visual = clip.model.visual.requires_grad_(True)
        self._tower = clip.tower

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Return one map of tokens (B, D, H / patch, W / patch), after the final norm.

        Args:
            inputs: (B, 3, H, W) normalized, sides multiples of the patch.

        Raises:
            InputError: other sides.
        """
        backbone_tokens = self._tower.run_backbone(inputs)
        return (self._tower.dense_features(backbone_tokens, self.attention_mode).tokens,)


def refuse_normalized(inputs: Tensor) -> None:
    """Refuse images with negative values: somebody has taken a mean off.

    Raises:
        ConfigError: there are negative values.
    """
    if inputs.numel() and float(inputs.min()) < 0:
        raise ConfigError(
            "images come normalized, but CLIP's own normalization follows",
            where="data_preprocessor",
            expected="RGB from 0 to 255",
            fix="dict(type='SegDataPreProcessor', bgr_to_rgb=True), without mean and std",
        )
