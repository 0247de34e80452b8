"""Train the tiny promptable SAM on the free masks of drawn scenes.

The recipe is SAM's own in small: points, boxes and coarse masks as prompts, focal and dice loss on
the mask, and a regression of the mask's IoU. Prompts that fit no region teach the regression only.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from ovseg.training.mask_losses import dice_loss
from tools.tiny.prompt_batches import KINDS, PromptBatch, prompt_batch
from tools.tiny.scene_store import SceneStore

__all__ = ["PromptLoss", "prompt_iou"]


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
    focal = sigmoid_focal_loss(logits, masks, alpha=-1).mean(dim=(2, 3))
    return 20 * focal + dice_loss(logits.sigmoid().flatten(2), masks.flatten(2))


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
            real = masks.flatten(1).any(dim=1)
            loss = mask_loss(logits[real], wanted[real])
            single.append(loss[:, 0])
            best.append(loss[:, 1:].min(dim=1).values)
            quality.append((score - mask_iou(logits.detach(), wanted)).square().mean(dim=1))
        parts = {"mask": single, "best": best, "iou": quality}
        return {name: torch.cat(values).mean() for name, values in parts.items()}


@torch.no_grad()
def prompt_iou(sam: Sam, store: SceneStore, count: int) -> dict[str, float]:
    """How good the single mask is, in percent, for the log.

    Returns:
        `mask_iou`, the mean IoU over mixed prompts; `refine_iou`, the same over box, point and
        coarse mask together; `iou_error`, the mean distance of the predicted IoU from the true one.
    """
    batch = prompt_batch(store, np.random.default_rng(0), count).to(sam.device)
    figures: dict[str, list[Tensor]] = {"mask_iou": [], "refine_iou": [], "iou_error": []}
    for (logits, score), masks, use in zip(
        predict(sam, batch), batch.masks, batch.use, strict=True
    ):
        full = F.interpolate(logits[:, :1].float(), masks.shape[-2:], mode="bilinear")
        iou = mask_iou(full, masks[:, None])[:, 0]
        real = masks.flatten(1).any(dim=1)
        figures["mask_iou"].append(iou[real])
        figures["iou_error"].append((score[:, 0].float() - iou).abs())
        if len(use) == len(KINDS):
            figures["refine_iou"].append(iou[real])
    return {
        name: round(100 * float(torch.cat(values).mean()), 2)
        for name, values in figures.items()
        if values
    }
