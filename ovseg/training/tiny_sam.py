"""Train the tiny promptable SAM on the free masks of drawn scenes.

The recipe is SAM's own in small: points, boxes and coarse masks as prompts, focal and dice loss on
the mask, and a regression of the mask's IoU.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from segment_anything.modeling import Sam
from torch import Tensor, nn

from ovseg.training.scene_store import SceneStore

__all__ = ["PromptBatch", "PromptLoss", "prompt_batch", "prompt_iou"]

_PER_PICTURE = 6


@dataclass
class PromptBatch:
    """Pictures, and n prompts with their masks for each.

    Attributes:
        images: (B, 3, S, S) float32 RGB in [0, 255].
        masks: B tensors (n, S, S) float32 in {0, 1}.
        points: B tensors (n, 1, 2) float32, x and y in pixels.
        boxes: B tensors (n, 4) float32, x0 y0 x1 y1 in pixels.
        coarse: B tensors (n, 1, S/2, S/2) float32, logits of a spoilt mask.
        use: for each picture which of "points", "boxes", "coarse" are given.
    """

    images: Tensor
    masks: list[Tensor]
    points: list[Tensor]
    boxes: list[Tensor]
    coarse: list[Tensor]
    use: list[tuple[str, ...]]

    def to(self, device: str) -> PromptBatch:
        """The same batch on ``device``."""
        lists = (self.masks, self.points, self.boxes, self.coarse)
        moved = [[item.to(device) for item in items] for items in lists]
        return PromptBatch(self.images.to(device), *moved, self.use)


def _box(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float32)
    reach = np.tile(0.1 * np.array([box[2] - box[0], box[3] - box[1]]), 2)
    return np.clip(box + rng.uniform(-1, 1, 4) * reach, 0, len(mask) - 1).astype(np.float32)


def _point(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    at = int(rng.integers(len(rows)))
    return np.array([[columns[at], rows[at]]], np.float32)


def _spoil(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A coarse version of a mask, as another model might give it: blocky, shifted, uncertain."""
    side = len(mask)
    cell = int(rng.choice([8, 16]))
    small = cv2.resize(
        mask.astype(np.float32), (side // cell, side // cell), interpolation=cv2.INTER_AREA
    )
    small = small + rng.normal(0, 0.2, small.shape).astype(np.float32)
    soft = cv2.resize(small, (side // 2, side // 2), interpolation=cv2.INTER_LINEAR)
    return ((soft - 0.5) * rng.uniform(2, 10)).astype(np.float32)


_USES = (
    ("boxes",),
    ("points",),
    ("boxes", "points"),
    ("boxes", "points", "coarse"),
    ("coarse", "points"),
)


def prompt_batch(store: SceneStore, rng: np.random.Generator, size: int) -> PromptBatch:
    """Draw ``size`` whole scenes with up to six prompts each, all of one kind in a picture."""
    images, use = [], []
    lists: tuple[list[Tensor], ...] = ([], [], [], [])
    while len(images) < size:
        view = store.view(rng, store.size, 8)
        found, areas = np.unique(view.instances, return_counts=True)
        kept = rng.permutation(found[(areas >= 64) & (found != 255)])[:_PER_PICTURE]
        if not len(kept):
            continue
        masks = [view.instances == index for index in kept]
        rows = (
            [mask.astype(np.float32) for mask in masks],
            [_point(mask, rng) for mask in masks],
            [_box(mask, rng) for mask in masks],
            [_spoil(mask, rng)[None] for mask in masks],
        )
        images.append(torch.from_numpy(view.image.copy()).permute(2, 0, 1).float())
        for target, row in zip(lists, rows, strict=True):
            target.append(torch.from_numpy(np.stack(row)))
        use.append(_USES[int(rng.integers(len(_USES)))])
    return PromptBatch(torch.stack(images), *lists, use)


def predict(sam: Sam, batch: PromptBatch) -> list[tuple[Tensor, Tensor]]:
    """All four masks of every prompt: B pairs of logits (n, 4, s, s) and IoU (n, 4)."""
    mean, std = sam.pixel_mean[None], sam.pixel_std[None]
    embeddings = sam.image_encoder((batch.images - mean) / std).float()
    outputs = []
    for i, use in enumerate(batch.use):
        points = batch.points[i], torch.ones_like(batch.points[i][:, :, 0])
        sparse, dense = sam.prompt_encoder(
            points=points if "points" in use else None,
            boxes=batch.boxes[i] if "boxes" in use else None,
            masks=batch.coarse[i] if "coarse" in use else None,
        )
        outputs.append(
            sam.mask_decoder.predict_masks(
                image_embeddings=embeddings[i : i + 1],
                image_pe=sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
            )
        )
    return outputs


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Focal loss times 20 plus dice loss, per mask (SAM, appendix A).

    Args:
        logits: (n, k, s, s).
        masks: (n, 1, s, s) in {0, 1}.

    Returns:
        (n, k).

    Example:
        >>> mask = torch.ones(1, 1, 2, 2)
        >>> round(float(mask_loss(30 * mask, mask)), 4)
        0.0
    """
    masks = masks.expand_as(logits)
    share = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    wrong = torch.where(masks > 0.5, 1 - share, share)
    focal = (wrong.square() * entropy).mean(dim=(2, 3))
    overlap = 2 * (share * masks).sum(dim=(2, 3)) + 1
    dice = 1 - overlap / (share.sum(dim=(2, 3)) + masks.sum(dim=(2, 3)) + 1)
    return 20 * focal + dice


def mask_iou(logits: Tensor, masks: Tensor) -> Tensor:
    """(n, k) IoU of logits > 0 with masks (n, 1, s, s)."""
    found, wanted = logits > 0, masks.expand_as(logits) > 0.5
    union = (found | wanted).sum(dim=(2, 3)).clamp(min=1)
    return (found & wanted).sum(dim=(2, 3)) / union


class PromptLoss(nn.Module):
    """Loss of the single mask, of the best of the three others, and of the predicted IoU.

    Args:
        model: the SAM in training.
    """

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: PromptBatch) -> dict[str, Tensor]:
        """Parts ``mask``, ``best`` and ``iou``, each a scalar."""
        single, best, quality = [], [], []
        for (logits, score), masks in zip(predict(self.model, batch), batch.masks, strict=True):
            logits, score = logits.float(), score.float()
            small = F.interpolate(masks[:, None], logits.shape[-2:], mode="area")
            wanted = (small > 0.5).float()
            loss = mask_loss(logits, wanted)
            single.append(loss[:, 0])
            best.append(loss[:, 1:].min(dim=1).values)
            quality.append((score - mask_iou(logits.detach(), wanted)).square().mean(dim=1))
        parts = {"mask": single, "best": best, "iou": quality}
        return {name: torch.cat(values).mean() for name, values in parts.items()}


@torch.no_grad()
def prompt_iou(sam: Sam, store: SceneStore, count: int) -> dict[str, float]:
    """Mean IoU in percent of the single mask over mixed prompts, for the log."""
    batch = prompt_batch(store, np.random.default_rng(0), count).to(sam.device)
    found = []
    for (logits, _), masks in zip(predict(sam, batch), batch.masks, strict=True):
        full = F.interpolate(logits[:, :1].float(), masks.shape[-2:], mode="bilinear")
        found.append(mask_iou(full, masks[:, None])[:, 0])
    return {"mask_iou": round(100 * float(torch.cat(found).mean()), 2)}
