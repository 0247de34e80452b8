"""Mining of pairs: which region of an image is which noun of its captions.

The published code leaves this part out; the recipe follows the paper and its authors' hints.

Source: Liang et al., "Open-Vocabulary Semantic Segmentation with Mask-adapted CLIP" (CVPR 2023),
section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ovseg.masks.mask_prompts import class_features, region_side
from ovseg.models.clip import ClipEncoder
from ovseg.prompts.text_bank import TextBank
from ovseg.training.region_pairs import StoredCrop, cut_stored, worth_keeping

__all__ = ["TEMPLATE", "best_pairs", "fitting_masks", "mine_image"]

TEMPLATE = "a photo of a {}."
"""How nouns are asked for."""

_BATCH = 32


def best_pairs(
    scores: Tensor,
    *,
    min_score: float | None = None,
    mutual: bool = False,
    most: int | None = None,
) -> list[tuple[int, int]]:
    """Give every noun its best region.

    Args:
        scores: (K, N) cosines of regions and nouns.
        min_score: least cosine of a pair.
        mutual: take a pair only where the noun is also the region's best.
        most: number of pairs at most, the best ones.

    Returns:
        Pairs (region, noun), the best first.

    Example:
        >>> best_pairs(torch.tensor([[0.3, 0.4], [0.1, 0.2]]))
        [(0, 1), (0, 0)]
        >>> best_pairs(torch.tensor([[0.3, 0.4], [0.1, 0.2]]), mutual=True)
        [(0, 1)]
    """
    if not scores.numel():
        return []
    best, region = scores.max(dim=0)
    favorite = scores.argmax(dim=1)
    found = [
        (int(region[noun]), int(noun))
        for noun in best.argsort(descending=True, stable=True)
        if min_score is None or best[noun] >= min_score
    ]
    if mutual:
        found = [(place, noun) for place, noun in found if favorite[place] == noun]
    return found[:most]


def fitting_masks(
    masks: np.ndarray, labels: np.ndarray, least: float = 0.5
) -> list[tuple[int, int]]:
    """Give every class of a label map the mask that fits it best.

    Args:
        masks: (Q, H, W) bool, proposals.
        labels: (H, W) class ids; -1 and 255 are none.
        least: intersection over union that a mask has to reach.

    Returns:
        Pairs (mask, class id), the best first.

    Example:
        >>> masks = np.array([[[True, True, False]], [[True, False, False]]])
        >>> fitting_masks(masks, np.array([[4, 4, 7]]))
        [(0, 4)]
    """
    present = [int(each) for each in np.unique(labels) if each not in (-1, 255)]
    if not present:
        return []
    found = torch.from_numpy(masks).flatten(1).float()
    right = torch.stack([torch.from_numpy(labels == each).flatten() for each in present]).float()
    shared = found @ right.T
    union = found.sum(1)[:, None] + right.sum(1) - shared
    pairs = best_pairs(shared / union.clamp_min(1), min_score=least)
    return [(place, present[number]) for place, number in pairs]


@torch.inference_mode()
def mine_image(
    clip: ClipEncoder,
    bank: TextBank,
    image: np.ndarray,
    masks: np.ndarray,
    nouns: Sequence[str],
    **options: Any,
) -> list[StoredCrop]:
    """Pair nouns with regions of an image.

    Args:
        clip: the original CLIP, not adapted, which judges.
        bank: its words, by `TEMPLATE`.
        image: (H, W, 3) uint8 RGB.
        masks: (Q, H, W) bool, proposals; small ones are left out.
        nouns: of its captions.
        **options: of `best_pairs`.

    Returns:
        Regions with their nouns, ready to be stored.

    Raises:
        InputError: masks of another size than the image.
    """
    masks = masks[worth_keeping(masks)]
    if not len(masks) or not nouns:
        return []
    regions = cut_stored(image, masks, [""] * len(masks), region_side(clip.tower))
    pixels = torch.from_numpy(np.stack([region.pixels for region in regions]))
    found = [
        class_features(clip.tower, clip.pad_and_normalize(some.permute(0, 3, 1, 2) / 255))
        for some in pixels.split(_BATCH)
    ]
    seen = functional.normalize(torch.cat(found), dim=1)
    scores = seen @ bank.encode(nouns).to(seen).T
    return [regions[k]._replace(title=nouns[n]) for k, n in best_pairs(scores, **options)]
