"""Train the tiny DINO-like ViT: two patches shall look alike exactly if they share a region.

The regions are those of the drawn scenes, without names. Both feature maps that the methods read
are taught: the output of the final norm, and the values of the last block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from tools.tiny.scene_store import SceneStore

__all__ = [
    "AffinityLoss",
    "PatchBatch",
    "affinity_features",
    "pair_accuracy",
    "patch_batch",
]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_STEEPNESS, _MIDDLE = 10.0, 0.3


@dataclass
class PatchBatch:
    """Views of scenes and the region of every patch.

    Attributes:
        images: (B, 3, S, S) float32, normalized as DINO's.
        regions: (B, n) long, the region that fills most of each patch; -1 where none fills 3/4.
    """

    images: Tensor
    regions: Tensor

    def to(self, device: str) -> PatchBatch:
        """The same batch on ``device``."""
        return PatchBatch(*(part.to(device) for part in vars(self).values()))


def patch_regions(instances: np.ndarray, patch: int) -> np.ndarray:
    """(S, S) uint8 region indices to (n,) int64: a patch's region, -1 where none fills 3/4.

    Example:
        >>> patch_regions(np.array([[4, 4, 7, 7], [4, 4, 7, 8]], np.uint8).repeat(2, 0), 2)
        array([ 4,  7,  4, -1])
    """
    side = len(instances) // patch
    blocks = instances.reshape(side, patch, side, patch).swapaxes(1, 2).reshape(side * side, -1)
    blocks = np.sort(blocks, axis=1)
    pixels = blocks.shape[1]
    middle = blocks[:, pixels // 2]
    sure = (blocks == middle[:, None]).mean(axis=1) >= 0.75
    return np.where(sure & (middle != 255), middle.astype(np.int64), -1)


def patch_batch(
    store: SceneStore, rng: np.random.Generator, size: int, side: int, patch: int
) -> PatchBatch:
    """Draw ``size`` views of ``side`` pixels with the region of every patch."""
    views = [store.view(rng, side, patch) for _ in range(size)]
    pixels = torch.from_numpy(np.stack([v.image for v in views])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
    regions = np.stack([patch_regions(v.instances, patch) for v in views])
    return PatchBatch((pixels - mean) / std, torch.from_numpy(regions))


def affinity_features(model: VisionTransformer, images: Tensor) -> tuple[Tensor, Tensor]:
    """Patch features (B, n, D) after the final norm, and the last block's values (B, n, D)."""
    tokens = model.norm_pre(model._pos_embed(model.patch_embed(images)))
    for block in model.blocks[:-1]:
        tokens = block(tokens)
    last = model.blocks[-1]
    values = last.attn.qkv(last.norm1(tokens)).chunk(3, dim=-1)[2]
    return model.norm(last(tokens))[:, 1:], values[:, 1:]


class AffinityLoss(nn.Module):
    """Balanced binary cross entropy on the cosines of patch pairs.

    Args:
        model: the ViT in training.
    """

    def __init__(self, model: VisionTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: PatchBatch) -> dict[str, Tensor]:
        """Parts ``features`` and ``values``, each a scalar."""
        known, same = _pairs(batch.regions)
        names = ("features", "values")
        maps = affinity_features(self.model, batch.images)
        return {
            name: _pair_loss(features.float(), known & same, known & ~same)
            for name, features in zip(names, maps, strict=True)
        }


def _pairs(regions: Tensor) -> tuple[Tensor, Tensor]:
    """(B, n) regions to two (B, n, n): both patches are sure, and both lie in one region."""
    sure = regions >= 0
    return sure[:, :, None] & sure[:, None, :], regions[:, :, None] == regions[:, None, :]


def _pair_loss(features: Tensor, same: Tensor, other: Tensor) -> Tensor:
    unit = F.normalize(features, dim=-1)
    logits = _STEEPNESS * (unit @ unit.transpose(1, 2) - _MIDDLE)
    near, far = F.softplus(-logits) * same, F.softplus(logits) * other
    return (near.sum() / same.sum().clamp(min=1) + far.sum() / other.sum().clamp(min=1)) / 2


@torch.no_grad()
def pair_accuracy(
    model: VisionTransformer, store: SceneStore, count: int, side: int, patch: int
) -> dict[str, float]:
    """Balanced accuracy in percent of "same region" at the middle cosine, for the log."""
    device = next(model.parameters()).device
    batch = patch_batch(store, np.random.default_rng(0), count, side, patch).to(device)
    known, same = _pairs(batch.regions)
    right = {}
    for name, features in zip(
        ("accuracy", "accuracy_values"), affinity_features(model, batch.images), strict=True
    ):
        unit = F.normalize(features.float(), dim=-1)
        alike = unit @ unit.transpose(1, 2) > _MIDDLE
        hits = alike[known & same].float().mean() + (~alike[known & ~same]).float().mean()
        right[name] = round(50 * float(hits), 2)
    return right
