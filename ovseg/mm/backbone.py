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
from ovseg.models.image_encoder import Trunk

__all__ = ["ClipBackbone", "ClipFeatures", "ClipTokenBackbone"]


@dataclass(frozen=True)
class ClipFeatures:
    """What a head needs of a batch.

    Attributes:
        trunk: tokens before the last block of the picture tower.
        clip: the encoder, which reads the last block out and embeds words.
        size: (height, width) of the pictures in pixels, before padding.
    """

    trunk: Trunk
    clip: ClipEncoder
    size: tuple[int, int]


@MODELS.register_module()
class ClipBackbone(nn.Module):
    """Runs all blocks but the last of CLIP's picture tower; the head reads the last one out.

    Args:
        model: the model, as in `ovseg.models.clip.build_clip`.
        pretrained: its weights, likewise.
        clip: an encoder that is built already, in place of the other arguments.
        capture: inner tokens that the head needs, as in `ClipEncoder.trunk`.
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
        capture: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__()
        self.capture = tuple(capture)
        self.clip = build_clip(model, pretrained, **options) if clip is None else clip
        require_whole(self)
        keep_hash_true(self.clip)

    def forward(self, inputs: Tensor) -> ClipFeatures:
        """Encode a batch.

        Args:
            inputs: (B, 3, H, W) RGB from 0 to 255, as `SegDataPreProcessor(bgr_to_rgb=True)`
                gives them.

        Raises:
            ConfigError: the pictures are normalised already, or were not put into a batch.
        """
        if not isinstance(inputs, Tensor):
            raise ConfigError(
                f"pictures come as a {type(inputs).__name__}, not as a batch",
                where="data_preprocessor",
                expected="RGB from 0 to 255, (B, 3, H, W)",
                fix="give the model data_preprocessor=dict(type='SegDataPreProcessor', "
                "bgr_to_rgb=True)",
            )
        refuse_normalised(inputs)
        trunk = self.clip.trunk(inputs / 255, self.capture)
        return ClipFeatures(trunk, self.clip, tuple(inputs.shape[-2:]))


@MODELS.register_module()
class ClipTokenBackbone(nn.Module):
    """CLIP's picture tower as an ordinary backbone, to be tuned under any decode head of mmseg.

    Only the picture tower is kept: no words are encoded.

    Args:
        model: the model, as in `ovseg.models.clip.build_clip`.
        pretrained: its weights, likewise.
        readout: how the last block is read, one of `ovseg.models.last_block.READOUTS`.
        **options: further arguments of `build_clip`.

    Attributes:
        visual: the picture tower; all of it is trained.
    """

    def __init__(
        self,
        model: Any,
        pretrained: str | Path | None = None,
        readout: str = "value",
        **options: Any,
    ) -> None:
        super().__init__()
        clip = build_clip(model, pretrained, **options)
        self.readout = readout
        self.visual = clip.model.visual.requires_grad_(True)
        self._tower = clip.tower

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Return one map of tokens (B, D, H / patch, W / patch), after the final norm.

        Args:
            inputs: (B, 3, H, W) normalised, sides multiples of the patch.

        Raises:
            InputError: other sides.
        """
        trunk = self._tower.trunk(inputs)
        return (self._tower.readout(trunk, self.readout).tokens,)


def refuse_normalised(inputs: Tensor) -> None:
    """Refuse pictures with negative values: somebody has taken a mean off.

    Raises:
        ConfigError: there are negative values.
    """
    if inputs.numel() and float(inputs.min()) < 0:
        raise ConfigError(
            "pictures come normalised, but CLIP's own normalisation follows",
            where="data_preprocessor",
            expected="RGB from 0 to 255",
            fix="dict(type='SegDataPreProcessor', bgr_to_rgb=True), without mean and std",
        )
