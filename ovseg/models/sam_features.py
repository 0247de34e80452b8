"""An image in SAM's eyes: its encoder up to the last block, and the rest only when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor

from ovseg.models.image_encoder import dtype_of
from ovseg.models.sam_attention import run_block

__all__ = ["SamImage", "SamFeatures"]


@dataclass(frozen=True)
class SamImage:
    """An image as SAM's encoder takes it.

    Attributes:
        pixels: (1, 3, S, S) float32, normalized, zero right and below of the image.
        size: (H, W) of the image that was brought to this form.
        scaled: (h, w) of the part of `pixels` that the image covers.
    """

    pixels: Tensor
    size: tuple[int, int]
    scaled: tuple[int, int]


class SamFeatures:
    """What SAM's encoder says about an image; enough for any number of prompts.

    The encoder is run to its last block; the rest follows when the embedding is asked for.

    Args:
        encoder: the network.
        ready: the image.

    Attributes:
        size: (H, W) of the image.
        scaled: (h, w) of the part of the input that the image covers.
        tokens: (1, g, g, D) input of the last block, padding included.
    """

    def __init__(self, encoder: ImageEncoderViT, ready: SamImage) -> None:
        self.encoder = encoder
        self.size = ready.size
        self.scaled = ready.scaled
        tokens = encoder.patch_embed(ready.pixels.to(dtype_of(encoder)))
        if encoder.pos_embed is not None:
            tokens = tokens + encoder.pos_embed
        for block in encoder.blocks[:-1]:
            tokens = run_block(block, tokens)
        self.tokens = tokens

    @property
    def valid(self) -> tuple[int, int]:
        """(rows, columns) of full patches inside the image, at least 1; a partial one is none."""
        patch = self.encoder.patch_embed.proj.kernel_size
        rows, columns = (max(a // b, 1) for a, b in zip(self.scaled, patch, strict=True))
        return rows, columns

    @cached_property
    def embedding(self) -> Tensor:
        """The encoder's output (1, C, g, g) float32, for the mask decoder; computed once."""
        with torch.no_grad():
            tokens = run_block(self.encoder.blocks[-1], self.tokens)
            return self.encoder.neck(tokens.permute(0, 3, 1, 2)).float()
