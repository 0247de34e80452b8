"""DeCLIP (Wang et al., CVPR 2025): self-self attention of a fine-tuned image encoder.

The head is short, as the method lies in the weights: see `ovseg.heads.decoupled` for what the
last block gives, and the published checkpoints for which attention scale each was trained with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ovseg.heads.base import WindowHead, check_temperature
from ovseg.heads.decoupled import check_mode, content
from ovseg.models.last_block import check_scale
from ovseg.registry import register_head

if TYPE_CHECKING:
    from ovseg.models.clip import ClipEncoder
    from ovseg.models.image_encoder import BackboneTokens

__all__ = ["DeClip"]


@register_head("DeClipHead")
class DeClip(WindowHead):
    """Cosine of the content features of every patch with every prompt.

    Args:
        mode: how the last block is read, a key of `ovseg.heads.decoupled.MODES`; the released
            weights are for "csa", SigLIP has "qq".
        attn_scale: "sqrt_d" divides logits of self-self attention by the root of a head's width
            (OpenAI-style towers, and the EVA02 weights for segmentation); "none" does not (EVA02
            weights trained by the main branch of DeCLIP's code).
        temperature: factor of the cosines inside the softmax over the prompts.

    Raises:
        ConfigError: an unknown mode or scale, or a temperature that is not positive.
    """

    score_type = "logits"

    def __init__(
        self, mode: str = "csa", *, attn_scale: str = "sqrt_d", temperature: float = 40.0
    ) -> None:
        super().__init__()
        check_mode(mode)
        check_scale(attn_scale)
        check_temperature(self.score_type, temperature)
        self.mode = mode
        self.attn_scale = attn_scale
        self.temperature = temperature

    def patch_features(self, clip: ClipEncoder, backbone_tokens: BackboneTokens) -> Tensor:
        """Return content features (B, E, h, w)."""
        return content(clip.tower, backbone_tokens, self.mode, self.attn_scale)
