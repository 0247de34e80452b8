"""Masks from SAM asked at a grid of points, through segment_anything's own generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from segment_anything import SamAutomaticMaskGenerator

from ovseg.errors import ConfigError
from ovseg.images.decode import to_pixels
from ovseg.inference.head_input import HeadInput
from ovseg.masks.proposer import MaskProposals, Proposer
from ovseg.masks.resize import large_first, resize_masks
from ovseg.models.sam import build_sam
from ovseg.registry import register_proposer

__all__ = ["SamProposer"]


@register_proposer("SamProposer")
class SamProposer(Proposer):
    """Proposes what SAM finds by itself: hard masks that know no words.

    The quality of a mask is SAM's own estimate of its IoU times the stability of its border.

    Args:
        sam: arguments of `ovseg.models.sam.build_sam`.
        points_per_side: points of the grid along a side of the image.
        min_area: smallest mask, as a share of the image; in [0, 1).
        most: how many masks are kept, the largest ones.
        options: further settings of `segment_anything.SamAutomaticMaskGenerator`.

    Raises:
        ConfigError: a setting that it does not take.
        CheckpointError: weights that cannot be had, read or fitted.
    """

    def __init__(
        self,
        sam: Mapping[str, Any],
        *,
        points_per_side: int = 32,
        min_area: float = 0.001,
        most: int = 100,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.sam = sam
        self.points_per_side = points_per_side
        self.min_area = min_area
        self.most = most
        self.options = options
        self.tower = build_sam(**sam).requires_grad_(False)
        try:
            self.generator = SamAutomaticMaskGenerator(
                self.tower.model, points_per_side=points_per_side, **(options or {})
            )
        except (TypeError, AssertionError) as error:
            raise ConfigError(
                f"segment_anything does not take these settings: {error}",
                where="decode_head.proposer.options",
            ) from error

    def propose(self, inputs: HeadInput) -> MaskProposals:
        """Return what SAM finds, the largest first; see `Proposer`."""
        image = inputs.image_np
        if image is None:
            image = to_pixels(inputs.image_tensor)
        found = self.generator.generate(np.ascontiguousarray(image))
        areas = torch.tensor([float(each["area"]) for each in found])
        least = self.min_area * image.shape[0] * image.shape[1]
        found = [found[i] for i in large_first(areas, least, self.most).tolist()]
        masks = np.zeros((len(found), *image.shape[:2]), bool)
        for mask, each in zip(masks, found, strict=True):
            mask[:] = each["segmentation"]
        quality = [each["predicted_iou"] * each["stability_score"] for each in found]
        device = inputs.image_tensor.device
        return MaskProposals(
            resize_masks(torch.from_numpy(masks).to(device), inputs.size),
            quality=torch.tensor(quality, dtype=torch.float32, device=device),
        )
