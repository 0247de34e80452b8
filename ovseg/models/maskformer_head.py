"""MaskFormer's decoders: a feature pyramid and queries, with an embedding in place of classes.

Names of the parts are those of the released checkpoints.

Source: Cheng et al., "Per-Pixel Classification is Not All You Need for Semantic Segmentation"
(NeurIPS 2021); Liang et al., "Open-Vocabulary Semantic Segmentation with Mask-adapted CLIP"
(CVPR 2023), section 3.1, for the embeddings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MaskFormerHead", "Queries", "proposal_logits", "sine_positions"]

TEMPERATURE = 100.0
"""Fixed factor of the cosines of embeddings and words, in training too."""


class Queries(NamedTuple):
    """What a decoder layer makes of the queries.

    Attributes:
        embed: (B, Q, E) class embeddings, of any length.
        masks: (B, Q, h, w) mask logits at stride 4.
    """

    embed: Tensor
    masks: Tensor


class MaskFormerHead(nn.Module):
    """Feature maps of a backbone to masks and class embeddings.

    Args:
        in_channels: channels of the four maps, finest first.
        embed_dim: E, length of the class embeddings: CLIP's joint space.
        queries: Q, number of masks.
        width: channels of the pixel decoder and of the queries.
        layers: of the transformer decoder.
        heads: of its attentions.
        feedforward: hidden width of its feed-forward networks.
        class_hidden: hidden width of the class branch.
        groups: of the group norms.
        dropout: of the transformer decoder.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        embed_dim: int,
        *,
        queries: int = 100,
        width: int = 256,
        layers: int = 6,
        heads: int = 8,
        feedforward: int = 2048,
        class_hidden: int = 1024,
        groups: int = 32,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.pixel_decoder = PixelDecoder(in_channels, width, groups)
        self.predictor = QueryDecoder(
            in_channels[-1], queries, width, layers, heads, feedforward, dropout
        )
        self.predictor.class_embed = Mlp([width, class_hidden, embed_dim])

    def forward(self, features: Sequence[Tensor]) -> list[Queries]:
        """Decode feature maps.

        Args:
            features: four maps (B, C, h, w) at strides 4, 8, 16 and 32.

        Returns:
            What every decoder layer makes, the last one's last.
        """
        return self.decode(features[-1], self.pixel_decoder(features))

    def decode(self, coarse: Tensor, pixels: Tensor) -> list[Queries]:
        """Decode the coarsest map (B, C, h, w) by the pixel decoder's (B, width, h', w')."""
        predictor, class_embed = self.predictor, self.predictor.get_submodule("class_embed")
        return [
            Queries(
                class_embed(tokens),
                torch.einsum("bqc,bchw->bqhw", predictor.mask_embed(tokens), pixels),
            )
            for tokens in predictor(coarse)
        ]


def proposal_logits(embed: Tensor, text_embeddings: Tensor) -> Tensor:
    """Class logits (..., Q, C + 1) of embeddings (..., Q, E) by unit rows (C + 1, E).

    The last row of the words stands for "no object".
    """
    return TEMPERATURE * functional.normalize(embed, dim=-1) @ text_embeddings.T


class ConvNorm(nn.Conv2d):
    """A convolution that keeps the size, without bias, and its group norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(groups, outputs)
        nn.init.kaiming_uniform_(self.weight, a=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, h, w) to (B, C', h, w)."""
        return self.norm(super().forward(maps))


class PixelDecoder(nn.Module):
    """A feature pyramid (Lin et al., 2017) whose finest level is compared with the queries."""

    def __init__(self, in_channels: Sequence[int], width: int, groups: int) -> None:
        super().__init__()
        self.levels = len(in_channels)
        for level, channels in enumerate(in_channels[:-1], start=1):
            self.add_module(f"adapter_{level}", ConvNorm(channels, width, 1, groups))
            self.add_module(f"layer_{level}", ConvNorm(width, width, 3, groups))
        last = ConvNorm(in_channels[-1], width, 3, groups)
        self.add_module(f"layer_{self.levels}", last)
        self.mask_features = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_uniform_(self.mask_features.weight, a=1)
        nn.init.zeros_(cast("Tensor", self.mask_features.bias))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Four maps, finest first, to (B, width, h, w) of the finest one's size."""
        maps = self.get_submodule(f"layer_{self.levels}")(features[-1]).relu()
        for level in range(self.levels - 1, 0, -1):
            finer = self.get_submodule(f"adapter_{level}")(features[level - 1])
            maps = finer + functional.interpolate(maps, size=finer.shape[2:], mode="nearest")
            maps = self.get_submodule(f"layer_{level}")(maps).relu()
        return self.mask_features(maps)


class QueryDecoder(nn.Module):
    """Learned queries that look at the coarsest map through a transformer decoder (DETR's)."""

    def __init__(
        self,
        in_channels: int,
        queries: int,
        width: int,
        layers: int,
        heads: int,
        feedforward: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.input_proj = nn.Conv2d(in_channels, width, 1)
        self.query_embed = nn.Embedding(queries, width)
        # Nested as in the checkpoints.
        self.transformer: Any = nn.Module()
        self.transformer.decoder = nn.Module()
        self.transformer.decoder.layers = nn.ModuleList(
            DecoderLayer(width, heads, feedforward, dropout) for _ in range(layers)
        )
        self.transformer.decoder.norm = nn.LayerNorm(width)
        for weight in self.transformer.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)
        self.mask_embed = Mlp([width] * 4)

    def forward(self, coarse: Tensor) -> list[Tensor]:
        """Map (B, C, h, w) to the queries (B, Q, width) after every layer."""
        memory = self.input_proj(coarse)
        positions = sine_positions(memory.shape[2:], memory.shape[1]).to(memory)
        memory = memory.flatten(2).transpose(1, 2)
        places = self.query_embed.weight.expand(len(memory), -1, -1)
        tokens, found = torch.zeros_like(places), []
        for layer in self.transformer.decoder.layers:
            tokens = layer(tokens, places, memory, memory + positions)
            found.append(self.transformer.decoder.norm(tokens))
        return found


class DecoderLayer(nn.Module):
    """Self attention, attention to the image and a feed-forward network, each with its norm."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        options = {"dropout": dropout, "batch_first": True}
        self.self_attn = nn.MultiheadAttention(width, heads, **options)
        self.multihead_attn = nn.MultiheadAttention(width, heads, **options)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, places: Tensor, memory: Tensor, keys: Tensor) -> Tensor:
        """Run the layer.

        Args:
            tokens: (B, Q, width).
            places: (B, Q, width) positions of the queries.
            memory: (B, h * w, width) of the image.
            keys: the same with its positions.
        """
        asked = tokens + places
        mixed = self.self_attn(asked, asked, tokens, need_weights=False)[0]
        tokens = self.norm1(tokens + self.dropout(mixed))
        seen = self.multihead_attn(tokens + places, keys, memory, need_weights=False)[0]
        tokens = self.norm2(tokens + self.dropout(seen))
        inner = self.linear2(self.dropout(self.linear1(tokens).relu()))
        return self.norm3(tokens + self.dropout(inner))


class Mlp(nn.Module):
    """Linear layers with a ReLU between any two.

    Args:
        widths: of the input, the hidden layers and the output.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (..., first width) to (..., last width)."""
        for layer in self.layers[:-1]:
            tokens = layer(tokens).relu()
        return self.layers[-1](tokens)


def sine_positions(grid: tuple[int, int], width: int) -> Tensor:
    """Positions of the cells of a grid as sines and cosines.

    Half of the channels tell the row, half the column; both run from 0 to 2 pi over the image.

    Args:
        grid: (h, w).
        width: number of channels, a multiple of 4.

    Returns:
        (h * w, width) float32 in raster order.

    Source: Carion et al., "End-to-End Object Detection with Transformers" (2020), appendix A.4.
    """
    half = width // 2
    rates = 10000 ** (2 * torch.arange(half).div(2, rounding_mode="floor") / half)

    def waves(count: int) -> Tensor:
        turns = torch.arange(1, count + 1) / (count + 1e-6) * 2 * math.pi
        angles = turns[:, None] / rates
        return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=2).flatten(1)

    rows, columns = waves(grid[0]), waves(grid[1])
    rows = rows[:, None].expand(-1, grid[1], -1)
    columns = columns[None].expand(grid[0], -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)
