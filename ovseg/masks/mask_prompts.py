"""CLIP's vision transformer on images with blank patches, which learnt tokens may replace.

Source: Liang et al., "Open-Vocabulary Semantic Segmentation with Mask-adapted CLIP" (CVPR 2023),
section 3.3 (mask prompt tuning), and its published code.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import CheckpointError, ConfigError, InputError
from ovseg.models.image_encoder import VisionTower
from ovseg.models.last_block import join_heads, split_heads
from ovseg.models.vit import VitBlock, VitTower
from ovseg.weights.read import read_state_dict
from ovseg.weights.rename_ovseg import PROMPTS, take_prompts
from ovseg.weights.sources import local_file

__all__ = [
    "PROMPT_KEY",
    "check_prompts",
    "class_features",
    "new_prompts",
    "read_prompts",
    "region_side",
]

PROMPT_KEY = PROMPTS.removeprefix("visual.")
"""Name of the prompt tensor inside an image encoder."""

_SPREAD = 0.02


def region_side(tower: VisionTower) -> int:
    """Pixels of a side of the images that a tower was trained on.

    Raises:
        ConfigError: the tower is no plain vision transformer, or not a square one.
    """
    if not isinstance(tower, VitTower) or tower.native_grid[0] != tower.native_grid[1]:
        raise ConfigError(
            "this image encoder takes no mask prompts",
            where="backbone.model",
            expected="a plain CLIP vision transformer with square images, such as ViT-B-16",
        )
    return tower.native_grid[0] * tower.patch_size


def new_prompts(tower: VisionTower, depth: int = 3, *, shared: bool = False) -> Tensor:
    """Return untrained prompts (depth, L, D), normal with standard deviation 0.02.

    Args:
        tower: the tower that they are for; L patches, width D.
        depth: how many blocks get their own.
        shared: one vector a depth for all positions, (depth, 1, D).
    """
    patches = 1 if shared else tower.native_grid[0] * tower.native_grid[1]
    prompts = torch.randn(depth, patches, tower.width) * _SPREAD
    check_prompts(prompts, tower)
    return prompts


def read_prompts(pretrained: str | Path) -> Tensor:
    """Read the prompts out of a file: a released whole model, a CLIP with them, or they alone.

    Args:
        pretrained: "asset:NAME", a file or an address.

    Raises:
        CheckpointError: no such file, an unreadable one, or one without prompts.
    """
    path = local_file(pretrained, f"a file with {PROMPTS}")
    state = read_state_dict(path)
    prompts = take_prompts(state, path)
    if prompts is None:
        raise CheckpointError(
            "mask prompts are on, and there is no prompt tensor",
            where=path,
            expected=f"a tensor {PROMPTS}",
            fix="set prompts=False for a CLIP that was tuned without them",
        )
    return prompts.float()


def check_prompts(prompts: Tensor | None, tower: VisionTower, where: str | None = None) -> Tensor:
    """Return prompts that fit a tower.

    Raises:
        CheckpointError: there are none, or they are of another shape.
    """
    length = tower.native_grid[0] * tower.native_grid[1]
    layers = len(tower.visual.transformer.resblocks)
    expected = f"(depth up to {layers}, {length} or 1, {tower.width})"
    if prompts is None:
        raise CheckpointError(
            "mask prompts are on, and there is no prompt tensor",
            where=where,
            expected=f"{PROMPTS} of shape {expected}",
            fix="name a file that holds it, or set prompts=False",
        )
    fits = prompts.ndim == 3 and 1 <= prompts.shape[0] <= layers
    if not fits or prompts.shape[1] not in (1, length) or prompts.shape[2] != tower.width:
        raise CheckpointError(
            f"mask prompts of shape {tuple(prompts.shape)}", where=where, expected=expected
        )
    return prompts


def class_features(
    tower: VisionTower, images: Tensor, keep: Tensor | None = None, prompts: Tensor | None = None
) -> Tensor:
    """Embed images by the class token, with prompts in place of blank patches.

    The first prompts stand where the patches enter, and get positions; those of depth d enter
    behind block d - 1, without. Gradients flow to prompts and tower. Of the last block only what
    the class token needs is computed.

    Args:
        tower: a plain vision transformer.
        images: (B, 3, S, S) normalized, of the size that the tower was trained on.
        keep: (B, L) bool, False for blank patches; only with prompts.
        prompts: (depth, L or 1, D); None runs the plain tower.

    Returns:
        (B, E) float32, not of unit length.

    Raises:
        InputError: images or flags of another shape.

    Example:
        >>> from ovseg.models.clip import build_clip
        >>> tower = build_clip("asset:clip_tiny", "asset:clip_tiny").tower
        >>> side = region_side(tower)
        >>> class_features(tower, torch.zeros(2, 3, side, side)).shape[0]
        2
    """
    _check_images(tower, images)
    visual = tower.visual
    hide = None if prompts is None else _Hiding(_check_flags(tower, images, keep), prompts)
    patches = visual.conv1(images.to(visual.conv1.weight.dtype)).flatten(2).transpose(1, 2)
    if hide is not None:
        patches = hide(patches, 0)
    first = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
    tokens = torch.cat([first, patches], 1) + visual.positional_embedding.to(patches.dtype)
    tokens = visual.ln_pre(tokens)
    blocks = visual.transformer.resblocks
    for number, block in enumerate(blocks[:-1], start=1):
        tokens = block(tokens)
        if hide is not None and number < len(hide.prompts):
            tokens = torch.cat([tokens[:, :1], hide(tokens[:, 1:], number)], 1)
    normed = visual.ln_post(_class_token(VitBlock(blocks[-1]), tokens))
    return (normed if visual.proj is None else normed @ visual.proj).float()


class _Hiding:
    """Puts prompts in place of blank patches."""

    def __init__(self, keep: Tensor, prompts: Tensor) -> None:
        self.keep = keep.unsqueeze(-1)
        self.prompts = prompts

    def __call__(self, patches: Tensor, depth: int) -> Tensor:
        return torch.where(self.keep, patches, self.prompts[depth].to(patches.dtype))


def _class_token(block: VitBlock, tokens: Tensor) -> Tensor:
    """Class token (B, D) out of a block whose other tokens nobody reads."""
    normed = block.norm(tokens)
    query = split_heads(block.query(normed[:, :1]), block.heads)
    key, value = (split_heads(part(normed), block.heads) for part in (block.key, block.value))
    mixed = functional.scaled_dot_product_attention(query, key, value)
    return block.forward_residual_mlp(tokens[:, :1], block.out(join_heads(mixed)))[:, 0]


def _check_images(tower: VisionTower, images: Tensor) -> None:
    side = region_side(tower)
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, side, side):
        raise InputError(
            f"regions of shape {tuple(images.shape)}", expected=f"(B, 3, {side}, {side})"
        )


def _check_flags(tower: VisionTower, images: Tensor, keep: Tensor | None) -> Tensor:
    expected = (len(images), tower.native_grid[0] * tower.native_grid[1])
    if keep is None or tuple(keep.shape) != expected:
        shape = None if keep is None else tuple(keep.shape)
        raise InputError(f"patch flags of shape {shape}", expected=f"{expected}, bool")
    return keep.bool()
