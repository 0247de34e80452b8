"""Ways to read patch features out of the last attention block of a tower.

Every tower offers its last block through the small face `LastBlock`; the read-outs below are
written once against it. Sources: MaskCLIP (value path), DeCLIP section 3 (self-self attention),
Trident section 4 (attention given from outside).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError

ATTN_SCALES = ("sqrt_d", "none")

SELF_PARTS = {"qq": "q", "kk": "k", "vv": "v", "csa": "qk", "all": "qkv"}
"""Projections by which self-self attention compares tokens, by the name of the read-out."""


class LastBlock(Protocol):
    """The last attention block of a tower, in pieces. B images, N tokens, D width."""

    heads: int

    def norm(self, tokens: Tensor) -> Tensor:
        """First norm: (B, N, D)."""

    def query(self, normed: Tensor) -> Tensor:
        """Queries of normed tokens, before any rotary embedding: (B, N, D)."""

    def key(self, normed: Tensor) -> Tensor:
        """Keys of normed tokens, before any rotary embedding: (B, N, D)."""

    def value(self, normed: Tensor) -> Tensor:
        """Values of normed tokens: (B, N, D)."""

    def out(self, mixed: Tensor) -> Tensor:
        """Output projection (and what stands before it) of concatenated heads."""

    def project_keys(self, keys: Tensor) -> Tensor:
        """Keys as MaskCLIP's key smoothing compares them."""

    def forward_no_residual(self, branch: Tensor) -> Tensor:
        """End of a block without residual and MLP."""

    def forward_residual_mlp(self, tokens: Tensor, branch: Tensor) -> Tensor:
        """Residual of the attention branch, then the MLP with its residual."""

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """The block as it was trained."""


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads * d) to (B, heads, N, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(B, heads, N, d) to (B, N, heads * d)."""
    return x.transpose(1, 2).flatten(2)


def check_scale(name: str) -> None:
    """Refuse an unknown attention scale.

    Raises:
        ConfigError: it is none of `ATTN_SCALES`.
    """
    if name not in ATTN_SCALES:
        raise ConfigError(
            f"unknown attention scale {name!r}",
            where="attn_scale",
            expected=" or ".join(ATTN_SCALES),
        )


def project_parts(block: LastBlock, normed: Tensor, parts: str) -> dict[str, Tensor]:
    """Queries "q", keys "k" and values "v" of normed tokens, each (B, N, D), by their letters."""
    projections = {"q": block.query, "k": block.key, "v": block.value}
    return {part: projections[part](normed) for part in parts}


def attend(projected: Mapping[str, Tensor], name: str, heads: int, attn_scale: str) -> Tensor:
    """Values mixed by self-self attention, no matrix of tokens x tokens being kept.

    Args:
        projected: the letters of `SELF_PARTS[name]` and "v", each (B, N, D).
        name: "all" is softmax(s (q q^T + k k^T + v v^T) / 3) v; the others are the sum over their
            parts of softmax(s x x^T) v, so the weights of "csa" sum to 2.
        heads: number of heads.
        attn_scale: "sqrt_d" or "none".

    Returns:
        (B, N, D).
    """
    check_scale(attn_scale)
    split = {part: split_heads(x, heads) for part, x in projected.items()}
    value, parts = split["v"], SELF_PARTS[name]
    scale = value.shape[-1] ** -0.5 if attn_scale == "sqrt_d" else 1.0
    if name == "all":
        compared = [torch.cat([split[part] for part in parts], dim=-1)]
        scale /= 3
    else:
        compared = [split[part] for part in parts]
    mixed = [functional.scaled_dot_product_attention(x, x, value, scale=scale) for x in compared]
    return join_heads(sum(mixed[1:], mixed[0]))


def own_value(block: LastBlock, normed: Tensor, attn_scale: str) -> Tensor:
    """Every token takes its own value: attention is the identity (MaskCLIP)."""
    return block.value(normed)


def self_attention(block: LastBlock, normed: Tensor, attn_scale: str, *, name: str) -> Tensor:
    """Self-self attention over all tokens, see `attend`."""
    parts = "".join(dict.fromkeys(SELF_PARTS[name] + "v"))
    return attend(project_parts(block, normed, parts), name, block.heads, attn_scale)


@dataclass(frozen=True)
class AttentionMode:
    """One way to read the last block.

    Attributes:
        attend: from the block, its normed input and the attention scale to mixed values (B, N, D).
        residual_mlp: whether the residual and the MLP of the block follow.
    """

    attend: Callable[[LastBlock, Tensor, str], Tensor]
    residual_mlp: bool = False


ATTENTION_MODES: dict[str, AttentionMode | None] = {
    "value": AttentionMode(own_value, residual_mlp=True),
    "value_only": AttentionMode(own_value),
    **{name: AttentionMode(partial(self_attention, name=name)) for name in SELF_PARTS},
    "vanilla": None,
}


def check_attention_mode(name: str) -> None:
    """Refuse an unknown name.

    Raises:
        ConfigError: no such read-out.
    """
    if name not in ATTENTION_MODES:
        raise ConfigError(
            f"unknown attention mode {name!r}",
            where="attention_mode",
            expected=", ".join(ATTENTION_MODES),
        )


def read_last_block(
    block: LastBlock,
    tokens: Tensor,
    grid: tuple[int, int],
    name: str,
    *,
    attn_scale: str = "sqrt_d",
) -> Tensor:
    """Output of the last block in the way `name` says.

    Args:
        block: the block.
        tokens: (B, prefix + n, D) its input. A class token takes part in self-self attention.
        grid: (h, w) with h * w = n.
        name: key of `ATTENTION_MODES`.
        attn_scale: "sqrt_d" divides logits of self-self attention by the root of a head's width,
            "none" does not (weights trained by DeCLIP's main branch).

    Returns:
        (B, prefix + n, D), before the final norm.

    Raises:
        ConfigError: unknown attention mode or attention scale.
    """
    check_attention_mode(name)
    attention_mode = ATTENTION_MODES[name]
    if attention_mode is None:
        return block.forward(tokens, grid)
    branch = block.out(attention_mode.attend(block, block.norm(tokens), attn_scale))
    return (
        block.forward_residual_mlp(tokens, branch)
        if attention_mode.residual_mlp
        else block.forward_no_residual(branch)
    )


def read_proxy(block: LastBlock, tokens: Tensor, attention: Tensor) -> Tensor:
    """Values mixed by an attention matrix from outside, without residual and MLP (Trident).

    Args:
        block: the block.
        tokens: (B, n, D) its input, patch tokens only.
        attention: (B, m, n), rows sum to 1; the same for every head.

    Returns:
        (B, m, D), before the final norm.
    """
    values = block.value(block.norm(tokens))
    return block.forward_no_residual(block.out(attention.to(values.dtype) @ values))


def projected_keys(block: LastBlock, tokens: Tensor, prefix: int) -> Tensor:
    """Keys of the patch tokens for MaskCLIP's key smoothing: (B, n, D)."""
    return block.project_keys(block.key(block.norm(tokens[:, prefix:])))
