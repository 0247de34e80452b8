"""Batches for the tiny CLIP: views of drawn scenes, and captions of them and of their regions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ovseg.scenes import CLASSES
from ovseg.scenes.captions import region_caption, scene_caption
from ovseg.scenes.things import THINGS
from ovseg.training.contrast import caption_masks
from tools.tiny.scene_store import SceneStore, View, patch_shares

__all__ = ["MEAN", "SEEN_PAIRS", "STD", "CaptionBatch", "caption_batch"]

MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Of CLIP's pixels, in [0, 1]."""

STD = (0.26862954, 0.26130258, 0.27577711)
"""Likewise."""

SEEN_PAIRS = tuple(
    (color, thing.name)
    for thing in THINGS.values()
    for color in thing.colors
    if color not in thing.held_out_colors
)
"""Color and noun of everything that the training split draws; no held-out pair."""

_PAIRS = 48


@dataclass
class CaptionBatch:
    """Views with their captions.

    Attributes:
        images: (B, 3, S, S) float32, normalized.
        reader: (B,) long, the token whose output the view's caption is held against.
        residual: (B,) float32 in {0, 1}, whether the last block's value path keeps its residual.
        captions: B captions of the views.
        shares: (R, n) float32, how the R regions pool their view's n patches; rows sum to 1.
        view: (R,) long, the view that a region lies in.
        texts: C distinct region captions.
        target: (R,) long, each region's caption.
        true: (R, C) bool, which caption holds for which region.
        unknown: (R, C) bool, where that cannot be seen: colors in a view that has lost them.
        pairs: P names such as "red car", of those that training draws.
        pair_class: (P,) long, the class of each.
    """

    images: Tensor
    reader: Tensor
    residual: Tensor
    captions: list[str]
    shares: Tensor
    view: Tensor
    texts: list[str]
    target: Tensor
    true: Tensor
    unknown: Tensor
    pairs: list[str]
    pair_class: Tensor

    def to(self, device: str) -> CaptionBatch:
        """The same batch with its tensors on ``device``."""
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in vars(self).items()}
        return CaptionBatch(**moved)


def _region_parts(view: View, patch: int, rng: np.random.Generator) -> list[tuple[int, np.ndarray]]:
    """Pooling weights of the regions that fill at least about one patch; half of them cut."""
    parts = []
    for index in np.unique(view.instances):
        if index == 255:
            continue
        share = patch_shares(view.instances, int(index), patch)
        share = np.where(share >= min(0.6, float(share.max())), share, 0.0)
        if share.sum() < 1.0:
            continue
        if rng.random() < 0.5:
            rows, columns = np.nonzero(share)
            at = int(rng.integers(len(rows)))
            reach = int(rng.integers(1, 5))
            near = np.zeros_like(share)
            near[
                max(rows[at] - reach, 0) : rows[at] + reach + 1,
                max(columns[at] - reach, 0) : columns[at] + reach + 1,
            ] = 1
            share = share * near
        parts.append((int(index), (share / share.sum()).ravel()))
    return parts


def _faded(view: View, rng: np.random.Generator) -> View | None:
    """Half of the time a view that has lost much of its colors, or all; else None.

    What a thing is must be seen in its shape too: a color that training never shows on a noun is
    no sign against that noun.
    """
    strength = float(rng.choice([0.0, rng.uniform(0.6, 0.9), 1.0], p=[0.5, 0.3, 0.2]))
    if strength == 0:
        return None
    gray = view.image @ np.array([0.299, 0.587, 0.114], np.float32)
    image = view.image + strength * (gray[:, :, None] - view.image)
    return replace(view, image=image.round().astype(np.uint8))


def caption_batch(
    store: SceneStore,
    rng: np.random.Generator,
    size: int,
    side: int,
    patch: int,
    *,
    any_reader: bool = True,
) -> CaptionBatch:
    """Draw one training batch.

    Args:
        store: the scenes.
        rng: decides everything: equal generators give equal batches.
        size: number of views B.
        side: side of a view in pixels, a multiple of ``patch``.
        patch: side of a patch in pixels.
        any_reader: whether half of the views are read from a random token, not the class token.
    """
    views, captions, shares, owner, kinds, faded, said = [], [], [], [], [], [], []
    for number in range(size):
        view = store.view(rng, side, patch)
        pale = _faded(view, rng)
        views.append(pale or view)
        parts = _region_parts(view, patch, rng)
        regions = [view.regions[index] for index, _ in parts]
        nameless = [replace(region, color=None) for region in regions] if pale else regions
        captions.append(scene_caption(nameless, rng))
        said += [region_caption(region, rng) for region in nameless]
        kinds += [(region.class_id, region.color) for region in regions]
        shares += [share for _, share in parts]
        owner += [number] * len(parts)
        faded += [pale is not None] * len(parts)
    distinct = {caption.text: caption for caption in said}
    texts = sorted(distinct)
    place = {text: i for i, text in enumerate(texts)}
    claims = [distinct[text].key for text in texts]
    pairs = [SEEN_PAIRS[i] for i in rng.permutation(len(SEEN_PAIRS))[:_PAIRS]]
    reader = np.zeros(size, np.int64)
    if any_reader:
        reader = rng.integers(1 + (side // patch) ** 2, size=size) * (rng.random(size) < 0.5)
    pixels = torch.from_numpy(np.stack([v.image for v in views])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    target = torch.tensor([place[caption.text] for caption in said])
    colored = torch.tensor([color is not None for _, color in claims])
    unknown = torch.tensor(faded)[:, None] & colored[None]
    return CaptionBatch(
        images=(pixels - mean) / std,
        reader=torch.from_numpy(reader),
        residual=torch.from_numpy((rng.random(size) < 0.5).astype(np.float32)),
        captions=captions,
        shares=torch.from_numpy(np.stack(shares)),
        view=torch.tensor(owner),
        texts=texts,
        target=target,
        true=caption_masks(kinds, claims) & ~unknown,
        unknown=unknown,
        pairs=[f"{color} {name}" for color, name in pairs],
        pair_class=torch.tensor([CLASSES.index(name) for _, name in pairs]),
    )
