"""Which patches of an image belong together in SAM's eyes (Trident, section 3 of its method).

The attention of the encoder's last block, kept where the values of two patches are alike.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.models.sam_attention import AttentionRows, row_chunks
from ovseg.models.sam_features import SamFeatures

__all__ = ["SamCorrelation", "row_thresholds"]

_HIGHEST = 0.9
_INSTEAD_OF_NEGATIVE = 0.6


class SamCorrelation:
    """A matrix (N, N) over the N patches of an image, computed some rows at a time; rows sum to 1.

    Args:
        seen: the image in SAM's eyes.
        cos_fac: see `row_thresholds`.
        refine_neg_cos: likewise.

    Attributes:
        grid: (rows, columns) of the patches, N = rows * columns.
        places: (N) where the patches are among all of the encoder's, padding included.
        values: (heads, N, d) values of the last block, of unit length.
        thresholds: (N) cosine of values above which a patch's attention to another is kept.
    """

    def __init__(
        self, seen: SamFeatures, *, cos_fac: float = 1.2, refine_neg_cos: bool = True
    ) -> None:
        block = seen.encoder.blocks[-1]
        self.grid = height, width = seen.valid
        self.attention = AttentionRows(block.attn, block.norm1(seen.tokens))
        places = torch.arange(self.attention.value.shape[1], device=seen.tokens.device)
        self.places = places.view(self.attention.grid)[:height, :width].flatten()
        values = self.attention.value[:, self.places].float()
        self.values = functional.normalize(values, dim=2)
        self.thresholds = row_thresholds(self.values, cos_fac, refine_neg_cos)

    def __len__(self) -> int:
        return len(self.thresholds)

    def attention_rows(self, rows: slice | Tensor) -> Tensor:
        """Attention (heads, n, N) of some patches to all; rows sum to less than 1 with padding."""
        height, width = self.grid
        return self.attention[self.places[rows]][:, :, :height, :width].flatten(2)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Return some rows (n, N) of the matrix."""
        cosines = self.values[:, rows] @ self.values.transpose(1, 2)
        alike = cosines > self.thresholds[rows].view(1, -1, 1)
        kept = (self.attention_rows(rows) * alike).mean(0)
        return kept / kept.sum(1, keepdim=True).clamp_min(torch.finfo(kept.dtype).tiny)

    def attend(self, tokens: Tensor) -> Tensor:
        """Replace every token (N, D) by the mean of all, weighted by its row; float32."""
        heads, keys = self.values.shape[0], self.attention.value.shape[1]
        chunks = row_chunks(len(self), heads * keys, tokens.device)
        return torch.cat([self[rows] @ tokens for rows in chunks])


def row_thresholds(values: Tensor, cos_fac: float, refine_neg_cos: bool) -> Tensor:
    """Threshold of each row, common to all heads: a multiple of its mean cosine, at most 0.9.

    Args:
        values: (heads, N, d) of unit length.
        cos_fac: factor of the mean over heads and patches.
        refine_neg_cos: whether negative thresholds stay; else they become 0.6. (The published name
            says the opposite.)

    Returns:
        (N).
    """
    mean = torch.einsum("hnd,hd->n", values, values.mean(1)) / len(values)
    found = cos_fac * mean
    if not refine_neg_cos:
        found = found.masked_fill(found < 0, _INSTEAD_OF_NEGATIVE)
    return found.clamp(max=_HIGHEST)
