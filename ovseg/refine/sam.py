"""SAM as a refiner: every region of a result is asked for its mask, and good masks are kept.

The rules are those of Trident's code (arXiv 2411.09219); they need nothing of its head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.inference.decode import Decoded
from ovseg.models.sam import SamEncoder, SamFeatures, build_sam
from ovseg.refine.base import Maps, Refiner
from ovseg.refine.prompts import (
    Prompts,
    find_prompts,
    half_labels,
    half_maps,
    mask_prompts,
    nearest,
)
from ovseg.registry import register_refiner

if TYPE_CHECKING:
    from ovseg.heads.base import Head

__all__ = ["MASK_PROMPT_NORMS", "SamRefiner", "ask", "encode_masks", "masks_of_image"]

MASK_PROMPT_NORMS = ("height", "channel")

_PROMPTS_AT_ONCE = 8
_MAP_ELEMENTS = 1 << 25


@register_refiner("SamRefiner")
class SamRefiner(Refiner):
    """Gives every region of a result the outline that SAM sees there.

    Regions, boxes, points and areas are those of the result at half the image's resolution.
    Where SAM is not sure enough of any mask everything stays as it was.

    Args:
        model: SAM's network, as for `ovseg.models.sam.build_sam`.
        pretrained: its weights, likewise.
        coarse_thresh: pixels whose best probability is below this belong to no region; in [0, 1].
        minimal_area: regions with fewer half-resolution pixels give no prompt.
        sam_mask_coff: factor of the probabilities in the mask prompt.
        sam_iou_thresh: a mask is kept when SAM predicts a larger IoU for it.
        mask_prompt_norm: what the norms over an encoded mask prompt run along: "height" as in the
            published code (mean and variance over the rows), or "channel" as SAM was trained.
        side_multiple: the image's sides are rounded up to multiples of this for SAM; None stands
            for CLIP's patch in a pipeline, as published, and for 1 without one.
        sam: the network where it is built already, from `model` and `pretrained`.

    Raises:
        ConfigError: a setting out of its range.
        CheckpointError: weights that cannot be had, read or fitted.
    """

    built_parts = ("sam",)

    def __init__(
        self,
        model: str | Path | Mapping[str, Any] = "vit_b",
        pretrained: str | Path | None = "sa1b",
        *,
        coarse_thresh: float = 0.1,
        minimal_area: int = 225,
        sam_mask_coff: float = 0.005,
        sam_iou_thresh: float = 0.9,
        mask_prompt_norm: str = "height",
        side_multiple: int | None = None,
        sam: SamEncoder | None = None,
    ) -> None:
        super().__init__()
        if mask_prompt_norm not in MASK_PROMPT_NORMS:
            raise ConfigError(
                f"unknown mask_prompt_norm {mask_prompt_norm!r}",
                where="refiner",
                expected=" or ".join(MASK_PROMPT_NORMS),
            )
        if not 0 <= coarse_thresh <= 1 or minimal_area < 1 or (side_multiple or 1) < 1:
            raise ConfigError(
                f"coarse_thresh {coarse_thresh}, minimal_area {minimal_area}, "
                f"side_multiple {side_multiple}",
                where="refiner",
                expected="a threshold from 0 to 1, an area and a multiple of at least 1",
            )
        self.model = model
        self.pretrained = pretrained
        self.coarse_thresh = coarse_thresh
        self.minimal_area = minimal_area
        self.sam_mask_coff = sam_mask_coff
        self.sam_iou_thresh = sam_iou_thresh
        self.mask_prompt_norm = mask_prompt_norm
        self.side_multiple = side_multiple
        self.sam = (sam or build_sam(model, pretrained)).requires_grad_(False)

    @property
    def weights_hash(self) -> str:
        """SHA-256 of SAM's weights."""
        return self.sam.weights_hash

    def to_precision(self, precision: str) -> SamRefiner:
        """Cast the image encoder, in place; see `SamEncoder.to_precision`."""
        self.sam.to_precision(precision)
        return self

    @classmethod
    def shared_parts(cls, head: Head, options: Mapping[str, Any]) -> dict[str, nn.Module]:
        """Return the SAM of a head that has the same one: it sees an image once for both."""
        asked = signature(cls).bind(**options)
        asked.apply_defaults()
        sam = head.sam_built_from(asked.arguments["model"], asked.arguments["pretrained"])
        return {} if sam is None else {"sam": sam}

    def fit_patch(self, patch_size: int) -> SamRefiner:
        """Take CLIP's patch for the multiple of the sides, unless that is set."""
        if self.side_multiple is None:
            self.side_multiple = patch_size
        return self

    def refine(
        self,
        image_np: np.ndarray,
        decoded: Decoded,
        maps: Maps,
        *,
        threshold: float = 0.0,
        background: int = 0,
        sam_features: SamFeatures | None = None,
    ) -> Decoded:
        """Refine one result; see `Refiner`. The threshold is not applied once more."""
        multiple = self.side_multiple or 1
        if sam_features is None or not self.sam.has_seen(image_np, sam_features, multiple):
            sam_features = self.sam.encode(image_np, multiple)
        return self.refine_with(sam_features, decoded, maps)

    @torch.no_grad()
    def refine_with(self, features: SamFeatures, decoded: Decoded, maps: Maps) -> Decoded:
        """Refine one result with features of its image that are there already.

        A pixel that kept masks cover gets the class with the largest product of probability and
        mask. That product is its score; inside a region whose own mask was refused, the
        probability is. All other pixels stay as they are.

        Args:
            features: what `SamEncoder.encode` says about the whole image.
            decoded: labels and scores.
            maps: as for `refine`; asked only for classes that win somewhere.
        """
        size = decoded.labels.shape
        prompts, masks = self._prompts(decoded, maps)
        kept = np.zeros(len(prompts), bool)
        logits: dict[int, list[Tensor]] = {}
        for rows, low, quality in ask(self.sam, features, prompts, masks, self.mask_prompt_norm):
            good = (quality > self.sam_iou_thresh).cpu()
            kept[rows] = good.numpy()
            for number, one in zip(prompts.classes[rows][kept[rows]], low[good], strict=True):
                logits.setdefault(int(number), []).append(one)
        if not kept.any():
            return decoded
        merged = _Merged(size)
        for number, probability in _one_by_one(maps, list(logits), size):
            low = torch.stack(logits[number])
            best = masks_of_image(low, features, self.sam.side, size).to(probability.device)
            merged.add(number, best, probability)
        return merged.over(decoded, nearest(prompts.union(~kept), size))

    def _prompts(self, decoded: Decoded, maps: Maps) -> tuple[Prompts, dict[int, Tensor]]:
        """Prompts, and the mask prompt (side, side) of every class that has some."""
        size = decoded.labels.shape
        present = np.unique(decoded.labels).tolist()
        half = {
            number: half_maps(probability[None])[0]
            for number, probability in _one_by_one(maps, present, size)
        }
        stacked = torch.stack(list(half.values())).cpu().numpy()
        labels = half_labels(decoded.labels, stacked.max(0), self.coarse_thresh)
        prompts = find_prompts(labels, present, stacked, self.coarse_thresh, self.minimal_area)
        side = self.sam.model.prompt_encoder.mask_input_size[0]
        asked = dict.fromkeys(prompts.classes.tolist())
        options = (size, side, self.sam_mask_coff, self.coarse_thresh)
        return prompts, {n: mask_prompts(half[n][None], *options)[0] for n in asked}


def ask(
    sam: SamEncoder,
    features: SamFeatures,
    prompts: Prompts,
    masks: Mapping[int, Tensor],
    mask_prompt_norm: str,
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Ask for the single mask of every prompt, some prompts of any classes at a time.

    Args:
        sam: the network.
        features: of the image.
        prompts: what is asked.
        masks: mask prompt (side, side) of every class.
        mask_prompt_norm: see `SamRefiner`.

    Yields:
        Which prompts, their logits (m, side, side) and the predicted IoU (m,).
    """
    encoder, device = sam.model.prompt_encoder, sam.device
    boxes, points = (part.to(device) for part in prompts.to_input(sam.side))
    for low in range(0, len(prompts), _PROMPTS_AT_ONCE):
        rows = slice(low, low + _PROMPTS_AT_ONCE)
        classes, place = np.unique(prompts.classes[rows], return_inverse=True)
        given = torch.stack([masks[int(number)].to(device) for number in classes])
        dense = encode_masks(sam, given, mask_prompt_norm)[torch.from_numpy(place).to(device)]
        clicks = points[rows, None], torch.ones(len(place), 1, device=device)
        sparse, _ = encoder(points=clicks, boxes=boxes[rows], masks=None)
        logits, quality = sam.model.mask_decoder(
            image_embeddings=features.embedding.to(device),
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        yield rows, logits[:, 0], quality[:, 0]


def encode_masks(sam: SamEncoder, masks: Tensor, mask_prompt_norm: str) -> Tensor:
    """Encode mask prompts (K, side, side) to (K, C, g, g); for the norm see `SamRefiner`."""
    encode = sam.model.prompt_encoder.mask_downscaling
    if mask_prompt_norm == "channel":
        return encode(masks[:, None])
    # SAM's norms take the second axis for the channels: without a batch axis that is the height.
    return torch.stack([encode(mask[None]) for mask in masks])


def masks_of_image(
    logits: Tensor, features: SamFeatures, side: int, size: tuple[int, int]
) -> Tensor:
    """Bring mask logits to the image, as SAM does, and take the largest at every pixel.

    Args:
        logits: (m, s, s).
        features: of the image; tell which part of SAM's input it covers.
        side: side of SAM's input.
        size: (H, W) of the result.

    Returns:
        (H, W).
    """
    best = torch.full(size, float("-inf"), device=logits.device)
    for part in logits.split(_PROMPTS_AT_ONCE):
        found = _resize(part, (side, side))[:, : features.scaled[0], : features.scaled[1]]
        found = _resize(found, features.size)
        best = torch.maximum(best, _resize(found, size).amax(0))
    return best


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(maps.shape[1:]) == tuple(size):
        return maps
    return functional.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]


def _one_by_one(
    maps: Maps, classes: Sequence[int], size: tuple[int, int]
) -> Iterator[tuple[int, Tensor]]:
    """Classes with their maps (H, W); as many are computed together as memory allows."""
    at_once = max(_MAP_ELEMENTS // (size[0] * size[1]), 1)
    for low in range(0, len(classes), at_once):
        part = classes[low : low + at_once]
        yield from zip(part, maps(part), strict=True)


class _Merged:
    """The winning class, its score and its probability at every pixel that a mask covers."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.label = torch.zeros(size, dtype=torch.int64)
        self.score = torch.zeros(size)
        self.probability = torch.zeros(size)

    def add(self, number: int, logits: Tensor, probability: Tensor) -> None:
        """Let a class compete, by the largest logits of its kept masks; ascending numbers."""
        score = torch.where(logits > 0, logits.sigmoid() * probability, 0.0).cpu()
        better = score > self.score
        self.label[better] = number
        self.score = torch.maximum(self.score, score)
        self.probability = torch.where(better, probability.cpu(), self.probability)

    def over(self, decoded: Decoded, refused: np.ndarray) -> Decoded:
        """Lay it over a result; `refused` (H, W) are the regions whose masks were refused."""
        covered = (self.score > 0).numpy()
        labels = np.where(covered, self.label.numpy(), decoded.labels).astype(decoded.labels.dtype)
        if decoded.scores is None:
            return Decoded(labels, None)
        score = np.where(refused, self.probability.numpy(), self.score.numpy())
        return Decoded(labels, np.where(covered, score, decoded.scores))
