"""SAM's global attention without its matrix: some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from segment_anything.modeling.image_encoder import Attention, Block, get_rel_pos
from torch import Tensor

__all__ = ["AttentionRows", "row_chunks", "run_block"]

_CPU_ELEMENTS = 1 << 23
_GPU_ELEMENTS = 1 << 25


class AttentionRows:
    """Queries, keys and values of one image; rows of the attention are computed when asked for.

    With 12 heads and 4096 tokens the matrix has 0.8 GB, and the plain way holds three of it.

    Args:
        attn: attention over the whole image.
        normed: (1, h, w, D) its input.

    Attributes:
        value: (heads, h * w, d).
        grid: (h, w).
    """

    def __init__(self, attn: Attention, normed: Tensor) -> None:
        self.grid = height, width = tuple(normed.shape[1:3])
        parts = attn.qkv(normed).view(height * width, 3, attn.num_heads, -1).permute(1, 2, 0, 3)
        query, key, self.value = parts.unbind(0)
        self._query = query * attn.scale
        self._key = key.transpose(1, 2)
        self._shifts: tuple[Tensor, Tensor] | None = None
        if attn.use_rel_pos:
            # The shifts take the queries before their scaling.
            cells = query.unflatten(1, self.grid)
            down = get_rel_pos(height, height, attn.rel_pos_h)
            across = get_rel_pos(width, width, attn.rel_pos_w)
            self._shifts = (
                torch.einsum("ahwc,hkc->ahwk", cells, down).flatten(1, 2),
                torch.einsum("ahwc,wkc->ahwk", cells, across).flatten(1, 2),
            )

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Return the softmax over all keys (heads, rows, h, w) of some queries, float32."""
        scores = (self._query[:, rows] @ self._key).unflatten(2, self.grid)
        if self._shifts is not None:
            down, across = (shift[:, rows] for shift in self._shifts)
            scores += down.unsqueeze(3)
            scores += across.unsqueeze(2)
        return scores.flatten(2).float().softmax(2).unflatten(2, self.grid)

    def attended_tokens(self) -> Tensor:
        """Return the values mixed by the attention, heads joined: (1, h, w, D)."""
        heads, tokens, width = self.value.shape
        out = self.value.new_empty(tokens, heads, width)
        for rows in row_chunks(tokens, heads * tokens, self.value.device):
            attention = self[rows].flatten(2).to(self.value.dtype)
            out[rows] = (attention @ self.value).transpose(0, 1)
        return out.view(1, *self.grid, heads * width)


def row_chunks(rows: int, numbers: int, device: torch.device) -> Iterator[slice]:
    """Cut rows into parts that fit into the memory meant for intermediate numbers.

    Args:
        rows: how many there are.
        numbers: intermediate numbers a row.
        device: where they lie.
    """
    budget = _GPU_ELEMENTS if device.type == "cuda" else _CPU_ELEMENTS
    step = max(budget // numbers, 1)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def run_block(block: Block, tokens: Tensor) -> Tensor:
    """Run a block of SAM's encoder on the tokens (1, h, w, D) of one image."""
    if block.window_size > 0:
        return block(tokens)
    mixed = block.attn.proj(AttentionRows(block.attn, block.norm1(tokens)).attended_tokens())
    tokens = tokens + mixed
    return tokens + block.mlp(block.norm2(tokens))
