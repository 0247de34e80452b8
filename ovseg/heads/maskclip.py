"""MaskCLIP (Zhou et al., ECCV 2022): the value path of CLIP's last block against the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.heads.base import WindowHead, check_temperature, cosines
from ovseg.models.last_block import check_attention_mode
from ovseg.registry import register_head

if TYPE_CHECKING:
    from ovseg.models.clip import ClipEncoder
    from ovseg.models.image_encoder import BackboneTokens
    from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["KS_NORMS", "MaskClip", "key_smooth", "prompt_denoise"]

KS_NORMS = ("positions", "channels")

_SHARPNESS = 100.0
_DROPPED = -100.0


def prompt_denoise(scores: Tensor, threshold: float) -> Tensor:
    """Drop the prompts that no patch of the window is sure of.

    Args:
        scores: (B, Q, h, w) cosines.
        threshold: prompts whose highest probability, softmax(100 scores) over the prompts, is
            below this in all patches are dropped.

    Returns:
        (B, Q, h, w) with -100 for dropped prompts.
    """
    sure = (_SHARPNESS * scores).softmax(1).amax((2, 3), keepdim=True)
    return scores.masked_fill(sure < threshold, _DROPPED)


def key_smooth(scores: Tensor, keys: Tensor, threshold: float, norm: str = "positions") -> Tensor:
    """Let unsure patches take the prediction of patches with similar keys.

    Args:
        scores: (B, Q, h, w) cosines.
        keys: (B, h * w, C).
        threshold: patches whose best probability, softmax(100 scores), is below this are smoothed.
        norm: what has unit length, a channel over all "positions" (the published code) or a
            position over all "channels" (the paper).

    Returns:
        (B, Q, h, w) probabilities; those of smoothed patches are not normalized.
    """
    probs = (_SHARPNESS * scores).softmax(1).flatten(2).transpose(1, 2)
    unit = functional.normalize(keys, dim=1 if norm == "positions" else 2)
    smooth = unit @ (unit.transpose(1, 2) @ probs)
    unsure = probs.amax(2, keepdim=True) < threshold
    return torch.where(unsure, smooth, probs).transpose(1, 2).unflatten(2, scores.shape[2:])


@register_head("MaskClipHead")
class MaskClip(WindowHead):
    """Cosine of every patch with every prompt.

    Args:
        attention_mode: how the last block is read, one of
            `ovseg.models.last_block.ATTENTION_MODES`.
        temperature: factor of the cosines inside a softmax.
        score_type: "logits" averages and resizes cosines, the softmax comes at the pixels; "probs"
            takes the softmax at every patch and averages and resizes that (MaskCLIP in
            CLIP-DINOiser).
        prompt_denoising: threshold of `prompt_denoise`, in [0, 1]; 0 is off, the paper has 0.5.
        key_smoothing: threshold of `key_smooth`, in [0, 1]; 0 is off, the paper has 1.
        ks_norm: see `key_smooth`.

    Raises:
        ConfigError: a setting out of its range.
    """

    def __init__(
        self,
        attention_mode: str = "value",
        *,
        temperature: float = 100.0,
        score_type: str = "logits",
        prompt_denoising: float = 0.0,
        key_smoothing: float = 0.0,
        ks_norm: str = "positions",
    ) -> None:
        super().__init__()
        check_attention_mode(attention_mode)
        check_temperature(score_type, temperature)
        for name, value in (
            ("prompt_denoising", prompt_denoising),
            ("key_smoothing", key_smoothing),
        ):
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} {value}", where=name, expected="from 0 to 1")
        if ks_norm not in KS_NORMS:
            raise ConfigError(
                f"unknown ks_norm {ks_norm!r}", where="ks_norm", expected=" or ".join(KS_NORMS)
            )
        self.attention_mode = attention_mode
        self.score_type = score_type
        self.temperature = temperature
        self.prompt_denoising = prompt_denoising
        self.key_smoothing = key_smoothing
        self.lazy = not (prompt_denoising or key_smoothing)
        self.ks_norm = ks_norm

    @property
    def decode_temperature(self) -> float:
        """1 after key smoothing: its scores are probabilities, and the softmax is a plain one."""
        return 1.0 if self.key_smoothing else self.temperature

    def patch_features(self, clip: ClipEncoder, backbone_tokens: BackboneTokens) -> Tensor:
        """Return features (B, E, h, w) of the read-out."""
        return clip.tower.dense_features(backbone_tokens, self.attention_mode).features

    def patch_scores(
        self,
        clip: ClipEncoder,
        backbone_tokens: BackboneTokens,
        text_embeddings: Tensor,
        vocabulary: Vocabulary | None = None,
    ) -> Tensor:
        """Return scores (B, Q, h, w) of a batch of windows."""
        dense = clip.dense_features(
            backbone_tokens, self.attention_mode, keys=self.key_smoothing > 0
        )
        return self.scores(dense.features, text_embeddings, dense.keys)

    def scores(
        self, features: Tensor, text_embeddings: Tensor, keys: Tensor | None = None
    ) -> Tensor:
        """Score features, with denoising and smoothing where they are on.

        Args:
            features: (B, E, h, w), any length.
            text_embeddings: (Q, E) unit rows.
            keys: (B, h * w, C), for key smoothing.

        Returns:
            (B, Q, h, w) cosines for kind "logits", probabilities for "probs"; probabilities after
            key smoothing.
        """
        return self.forward_residual_mlp(cosines(features, text_embeddings), keys)

    def forward_residual_mlp(self, scores: Tensor, keys: Tensor | None = None) -> Tensor:
        """Denoise, smooth and take the softmax, as the head is set.

        Args:
            scores: (B, Q, h, w) cosines.
            keys: (B, h * w, C), for key smoothing.
        """
        if self.prompt_denoising:
            scores = prompt_denoise(scores, self.prompt_denoising)
        if self.key_smoothing and keys is not None:
            return key_smooth(scores, keys, self.key_smoothing, self.ks_norm)
        return scores if self.score_type == "logits" else (self.temperature * scores).softmax(1)
