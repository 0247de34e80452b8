"""DeCLIP's two outputs of an image encoder (Wang et al., CVPR 2025): content and context.

The last block is split: its projections of the patches are the *context*, which tells where a
token gathers from; what it gathers, without residual and MLP, is the *content*, which is compared
with words. DeCLIP teaches the first by a vision foundation model, the second by CLIP's own crops.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import normalize

from ovseg.errors import ConfigError
from ovseg.models.image_encoder import BackboneTokens, VisionTower, to_map
from ovseg.models.last_block import SELF_PARTS, attend, project_parts

__all__ = ["MODES", "Decoupled", "check_mode", "content", "decoupled"]

MODES = {**{name: name for name in SELF_PARTS}, "maskclip": "value", "vanilla": "vanilla"}
"""Read-outs by DeCLIP's names of them."""


class Decoupled(NamedTuple):
    """Content and context of a batch of images; gradients reach both.

    Attributes:
        content: (B, E, h, w) float32 in the joint space, as `content` gives it.
        context: one (B, n, D) float32 for every projection that the mode compares, patches only,
            heads side by side: queries (qq), keys (kk), values (vv), queries and keys (csa), or
            all three (all).
    """

    content: Tensor
    context: tuple[Tensor, ...]


def check_mode(mode: str, *, context: bool = False) -> None:
    """Refuse a mode that DeCLIP does not have.

    Args:
        mode: a key of `MODES`.
        context: whether it has to give context features, too.

    Raises:
        ConfigError: it is unknown, or has no context.
    """
    known = SELF_PARTS if context else MODES
    if mode not in known:
        what = "mode without context features" if mode in MODES else "unknown mode"
        raise ConfigError(f"{what} {mode!r}", where="mode", expected=", ".join(known))


def content(
    tower: VisionTower,
    backbone_tokens: BackboneTokens,
    mode: str = "csa",
    attn_scale: str = "sqrt_d",
) -> Tensor:
    """Content features as DeCLIP pools regions of them (its section 3, step 5).

    Args:
        tower: the image encoder.
        backbone_tokens: what the tower, or the encoder around it, computed before its last block.
        mode: a key of `MODES`.
        attn_scale: "sqrt_d" or "none", as the weights were trained.

    Returns:
        (B, E, h, w) float32; of unit length per patch where the tower is an OpenAI-style vision
        transformer, of any length for EVA02 and SigLIP.

    Raises:
        ConfigError: unknown mode or scale, or a mode that the tower does not have.
    """
    check_mode(mode)
    features = tower.dense_features(backbone_tokens, MODES[mode], attn_scale=attn_scale).features
    return normalize(features, dim=1) if tower.unit_content else features


def decoupled(
    tower: VisionTower,
    backbone_tokens: BackboneTokens,
    mode: str = "csa",
    attn_scale: str = "sqrt_d",
) -> Decoupled:
    """Content and context features in one pass over the last block.

    Args:
        tower: the image encoder.
        backbone_tokens: what the tower, or the encoder around it, computed before its last block.
        mode: a key of `ovseg.models.last_block.SELF_PARTS`.
        attn_scale: "sqrt_d" or "none", as for `content`.

    Raises:
        ConfigError: unknown mode or scale, or a mode without context.
    """
    check_mode(mode, context=True)
    block, parts = tower.last, SELF_PARTS[mode]
    wanted = parts if "v" in parts else parts + "v"
    projected = project_parts(block, block.norm(backbone_tokens.tokens), wanted)
    mixed = attend(projected, mode, block.heads, attn_scale)
    tokens = block.forward_no_residual(block.out(mixed))[:, tower.prefix :]
    features = to_map(tower.project(tokens)[1], backbone_tokens.grid)
    return Decoupled(
        normalize(features, dim=1) if tower.unit_content else features,
        tuple(projected[part][:, tower.prefix :].float() for part in parts),
    )
