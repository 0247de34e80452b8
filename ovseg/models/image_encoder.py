"""The image encoder of CLIP as two steps: a backbone, and a read-out of the last block."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ovseg.errors import ConfigError, InputError
from ovseg.models.last_block import (
    LastBlock,
    projected_keys,
    read_last_block,
    read_proxy,
    split_heads,
)
from ovseg.models.position_embedding import check_rule

_FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class BackboneTokens:
    """What a tower computes before its last block.

    Attributes:
        tokens: (B, prefix + n, D) input of the last block, patches in raster order.
        grid: (h, w) with h * w = n.
        intermediates: tokens asked for by `return_intermediates`, float32, by the name they were
            asked by.
        images: (B, 3, H, W) RGB in [0, 1] that were encoded, for heads that look with a second
            tower; None where the backbone was not run by an encoder.
    """

    tokens: Tensor
    grid: tuple[int, int]
    intermediates: dict[str, Tensor] = field(default_factory=dict)
    images: Tensor | None = None


@dataclass(frozen=True)
class Dense:
    """Features of every patch, all float32.

    Attributes:
        tokens: (B, D, h, w) after the final norm, before the projection.
        features: (B, E, h, w) in the joint space of images and words, not normalized.
        keys: (B, n, D) MaskCLIP's projected keys, where asked for.
    """

    tokens: Tensor
    features: Tensor
    keys: Tensor | None = None


class VisionTower(ABC):
    """A face over the image encoder of an open_clip model; it holds no weights of its own.

    Attributes:
        visual: the module of open_clip that is run.
        patch_size: pixels a cell of the grid spans.
        width: D, channels of tokens.
        embed_dim: E, channels of the joint space.
        native_grid: trained (rows, columns).
        prefix: tokens in front of the patches (class token, registers).
        last: the last block, in pieces.
        position_key: name of the position table in the model's state dict.
        position_prefix: rows of that table that belong to no patch.
        position_rule: see `resize_positions`.
        unit_content: whether DeCLIP gives patches unit length before it pools regions of them.
    """

    unit_content: ClassVar[bool] = False
    visual: Any
    patch_size: int
    width: int
    embed_dim: int
    native_grid: tuple[int, int]
    prefix: int
    last: LastBlock
    position_key: str
    position_prefix: int

    def __init__(self, visual: nn.Module, position_rule: str = "size") -> None:
        """Wrap the image encoder of an open_clip model.

        Raises:
            ConfigError: unknown position rule.
        """
        check_rule(position_rule)
        self.visual = visual
        self.position_rule = position_rule

    @property
    def has_class_token(self) -> bool:
        """Whether a token in front stands for the whole image."""
        return self.prefix > 0

    def grid_of(self, images: Tensor) -> tuple[int, int]:
        """(h, w) of the grid of a batch (B, 3, H, W).

        Raises:
            InputError: the sides are not multiples of the patch.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise InputError(f"images of shape {tuple(images.shape)}", expected="(B, 3, H, W)")
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size or not (height and width):
            raise InputError(
                f"images of {height} x {width} pixels",
                expected=f"sides that are multiples of {self.patch_size}",
                fix="pad them, for example by ClipEncoder.pad_and_normalize",
            )
        return height // self.patch_size, width // self.patch_size

    @abstractmethod
    def run_backbone(
        self, images: Tensor, return_intermediates: Sequence[str] = ()
    ) -> BackboneTokens:
        """Run everything before the last block.

        Args:
            images: (B, 3, H, W) normalized, sides multiples of the patch.
            return_intermediates: names "ln_2@i" (output of the second norm inside block i) or
                "block@i" (output of block i); i may be negative.

        Raises:
            ConfigError: a name that is not understood, or a block that the backbone does not run.
            InputError: a wrong shape.
        """

    @abstractmethod
    def pooled(self, backbone_tokens: BackboneTokens) -> Tensor:
        """The ordinary global embedding (B, E), float32, not normalized."""

    @abstractmethod
    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Final norm and projection of tokens (B, N, D): (normed (B, N, D), features (B, N, E))."""

    def attended_tokens(
        self, backbone_tokens: BackboneTokens, name: str, *, attn_scale: str = "sqrt_d"
    ) -> Tensor:
        """Patch tokens (B, n, D) out of the last block, before the final norm."""
        out = read_last_block(
            self.last, backbone_tokens.tokens, backbone_tokens.grid, name, attn_scale=attn_scale
        )
        return out[:, self.prefix :]

    def attend_with(self, backbone_tokens: BackboneTokens, attention: Tensor) -> Tensor:
        """Patch values (B, m, D) mixed by a given matrix (B, m, n); see `read_proxy`."""
        return read_proxy(self.last, backbone_tokens.tokens[:, self.prefix :], attention)

    def dense_features(
        self,
        backbone_tokens: BackboneTokens,
        name: str,
        *,
        attn_scale: str = "sqrt_d",
        keys: bool = False,
    ) -> Dense:
        """Patch features by one of the `ATTENTION_MODES`.

        Args:
            backbone_tokens: what `run_backbone` returned.
            name: read-out, for example "value" (MaskCLIP) or "csa" (DeCLIP).
            attn_scale: "sqrt_d" or "none", for self-self attention.
            keys: also return MaskCLIP's keys.

        Raises:
            ConfigError: an unknown attention mode or scale.
        """
        tokens, features = self.project(
            self.attended_tokens(backbone_tokens, name, attn_scale=attn_scale)
        )
        found = (
            projected_keys(self.last, backbone_tokens.tokens, self.prefix).float() if keys else None
        )
        return Dense(
            to_map(tokens, backbone_tokens.grid), to_map(features, backbone_tokens.grid), found
        )

    def heads_of(self, backbone_tokens: BackboneTokens, part: str) -> Tensor:
        """Queries "q", keys "k" or values "v" of the patches: (B, heads, n, d)."""
        normed = self.last.norm(backbone_tokens.tokens[:, self.prefix :])
        project = {"q": self.last.query, "k": self.last.key, "v": self.last.value}[part]
        return split_heads(project(normed), self.last.heads)


def to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, h * w, C) in raster order to (B, C, h, w) float32."""
    return tokens.float().transpose(1, 2).unflatten(2, grid)


def parse_intermediates(
    return_intermediates: Sequence[str], blocks: int, ran: int
) -> dict[tuple[str, int], str]:
    """Read names such as "ln_2@-3" into {("ln_2", block index): name}.

    Args:
        return_intermediates: the names.
        blocks: number of blocks of the tower; a negative index counts from its end.
        ran: number of blocks that the backbone runs.

    Raises:
        ConfigError: a name that is not understood or a block that the backbone does not run.

    Example:
        >>> parse_intermediates(["ln_2@-3"], blocks=12, ran=11)
        {('ln_2', 9): 'ln_2@-3'}
    """
    wanted = {}
    for name in return_intermediates:
        found = re.fullmatch(r"(ln_2|block)@(-?[0-9]+)", name)
        if found is None:
            raise ConfigError(
                f"unknown return_intermediates {name!r}",
                expected="ln_2@i or block@i, for example ln_2@-3",
            )
        kind, index = found[1], int(found[2])
        block = index if index >= 0 else blocks + index
        if not 0 <= block < ran:
            raise ConfigError(
                f"return_intermediates {name!r} names a block that the backbone does not run",
                expected=f"a block from 0 to {ran - 1} (or counted from the end of {blocks})",
            )
        wanted[kind, block] = name
    return wanted


def run_blocks(
    tokens: Tensor,
    blocks: nn.ModuleList | nn.Sequential,
    names: Sequence[str],
    count: int,
    run: Callable[[Any, Tensor], Tensor],
    run_with_ln2: Callable[[Any, Tensor], tuple[Tensor, Tensor]],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run blocks one after the other and keep what is wanted.

    Args:
        tokens: (B, N, D).
        blocks: the blocks.
        names: inner tokens to keep; see `VisionTower.run_backbone`.
        count: number of all blocks of the encoder, from whose end negative names count.
        run: runs a block.
        run_with_ln2: runs a block and returns (output of its second norm, output).
    """
    wanted = parse_intermediates(names, count, len(blocks)) if names else {}
    intermediates: dict[str, Tensor] = {}
    for index, block in enumerate(blocks):
        if ("ln_2", index) in wanted:
            inner, tokens = run_with_ln2(block, tokens)
            intermediates[wanted["ln_2", index]] = inner.float()
        else:
            tokens = run(block, tokens)
        if ("block", index) in wanted:
            intermediates[wanted["block", index]] = tokens.float()
    return tokens, intermediates


def dtype_of(module: nn.Module) -> torch.dtype:
    """Number format of a module's first parameter."""
    return next(module.parameters()).dtype


def number_format(precision: str) -> torch.dtype:
    """Number format by its short name.

    Args:
        precision: "fp32", "bf16" or "fp16".

    Raises:
        ConfigError: another one.
    """
    if precision not in _FORMATS:
        raise ConfigError(
            f"unknown precision {precision!r}", where="precision", expected=", ".join(_FORMATS)
        )
    return _FORMATS[precision]
