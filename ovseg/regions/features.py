"""Features of the regions of images, in the three ways that DeCLIP's training log compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ovseg.heads.decoupled import content
from ovseg.regions.pooling import mask_pool, roi_pool

if TYPE_CHECKING:
    from ovseg.models.clip import ClipEncoder

__all__ = ["region_features"]


@torch.inference_mode()
def region_features(
    clip: ClipEncoder,
    images: Tensor,
    boxes: Sequence[Tensor],
    *,
    masks: Sequence[Tensor] | None = None,
    crops: Tensor | None = None,
    mode: str = "csa",
    attn_scale: str = "sqrt_d",
) -> dict[str, Tensor]:
    """Describe the regions of a batch of images by one vector each.

    Args:
        clip: the encoder, with any of its image encoders.
        images: (B, 3, H, W) RGB in [0, 1], sides multiples of the patch.
        boxes: for every image (n, 4), see `ovseg.regions.roi_pool`.
        masks: for every image (n, h, w) on the grid of patches, see `mask_pool`.
        crops: (K, 3, H', W') RGB in [0, 1], the regions cut out, for the ordinary embedding.
        mode: how the last block is read, see `ovseg.heads.decoupled.MODES`.
        attn_scale: "sqrt_d" or "none", as the weights were trained.

    Returns:
        Unit vectors (K, E) by name: "rois", and "maskpool" and "crops" where given.

    Raises:
        ConfigError: an unknown mode or scale.
        InputError: other shapes, or a box outside of its image.
    """
    clip.tower.grid_of(images)
    dense = content(clip.tower, clip.run_backbone(images), mode, attn_scale)
    found = {"rois": roi_pool(dense, boxes)}
    if masks is not None:
        found["maskpool"] = mask_pool(dense, masks)
    if crops is not None:
        found["crops"] = normalize(clip.encode_image(crops), dim=1)
    return found
