"""Adapting CLIP to images whose outside is blank: what is trained, and its loss.

Source: Liang et al., "Open-Vocabulary Semantic Segmentation with Mask-adapted CLIP" (CVPR 2023),
sections 3.2 and 3.3, and its published code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.masks.crops import keep_flags
from ovseg.masks.mask_prompts import PROMPT_KEY, class_features, new_prompts, region_side
from ovseg.models.clip import ClipEncoder
from ovseg.training.contrast import image_caption_loss, region_caption_loss

__all__ = ["FILL", "TRAINED", "MaskAdaptation", "kept_pixels", "put_into_whole"]

FILL = (124, 116, 103)
"""Color of what is blank in stored regions: CLIP's mean, rounded."""

TRAINED = ("tower", "prompts")
"""What can be trained: the whole image encoder, or the mask prompts alone."""

LARGEST_SCALE = math.log(100)
"""Upper limit of the logarithm of the loss's inverse temperature; the lower one is 0."""


def kept_pixels(pixels: np.ndarray) -> np.ndarray:
    """Tell which pixels of a stored region are not blank, by their color.

    Args:
        pixels: (H, W, 3) uint8 RGB, never compressed with loss.

    Returns:
        (H, W) bool.

    Example:
        >>> kept_pixels(np.array([[[124, 116, 103], [124, 116, 104]]], np.uint8))
        array([[False,  True]])
    """
    return (pixels != np.array(FILL, np.uint8)).any(axis=2)


class MaskAdaptation(nn.Module):
    """CLIP in training on pairs of regions and words; the text encoder is frozen.

    Args:
        clip: the encoder, a plain vision transformer.
        trained: "tower": blank patches are what the tower sees. "prompts": learned tokens stand in
            their place, and the tower is frozen too. The temperature is trained with either.
        depth: blocks that get prompts of their own.
        merge_duplicates: whether equal words of a batch are no negatives of each other. In the
            published code they are.

    Attributes:
        mask_embedding: (depth, L, D) the prompts, or None.

    Raises:
        ConfigError: something else to train, or a tower that takes no prompts.
    """

    def __init__(
        self,
        clip: ClipEncoder,
        trained: str = "prompts",
        depth: int = 3,
        merge_duplicates: bool = False,
    ) -> None:
        super().__init__()
        if trained not in TRAINED:
            raise ConfigError(f"{trained!r}", where="trained", expected=" or ".join(TRAINED))
        region_side(clip.tower)
        self.clip, self.merge_duplicates = clip, merge_duplicates
        clip.requires_grad_(False)
        clip.model.logit_scale.requires_grad_(True)
        self.mask_embedding = None
        if trained == "tower":
            clip.model.visual.requires_grad_(True)
        else:
            self.mask_embedding = nn.Parameter(new_prompts(clip.tower, depth))

    def forward(
        self,
        images: Tensor,
        masks: Tensor,
        tokens: Tensor,
        gather: Callable[[Tensor], Tensor] = lambda rows: rows,
    ) -> Tensor:
        """Symmetric contrastive loss of regions and their words.

        Args:
            images: (N, 3, S, S) RGB from 0 to 255.
            masks: (N, S, S), 0 where a pixel is blank; only looked at with prompts.
            tokens: (N, L) token ids of the words.
            gather: rows of this process to the rows of all processes.

        Returns:
            A scalar.
        """
        # The scale of the step before is brought into its limits before it is used.
        self.clamp_scale()
        seen = gather(self.embed(images, masks))
        with torch.no_grad():
            words = gather(functional.normalize(self.clip.encode_text(tokens), dim=-1))
        scale = self.clip.model.logit_scale.exp()
        if not self.merge_duplicates:
            return image_caption_loss(seen, words, scale)
        _, kind = gather(tokens).unique(dim=0, return_inverse=True)
        true = functional.one_hot(kind).bool()
        distinct = words.new_zeros(true.shape[1], words.shape[1]).index_copy(0, kind, words)
        return region_caption_loss(seen, distinct, kind, true, scale)

    def embed(self, images: Tensor, masks: Tensor) -> Tensor:
        """Regions as in `forward` to unit rows (N, E)."""
        keep = None
        if self.mask_embedding is not None:
            keep = keep_flags(masks, self.clip.patch_size)
        images = self.clip.pad_and_normalize(images.float() / 255)
        found = class_features(self.clip.tower, images, keep, self.mask_embedding)
        return functional.normalize(found, dim=-1)

    @torch.no_grad()
    def clamp_scale(self) -> None:
        """Keep the inverse temperature from 1 to 100."""
        self.clip.model.logit_scale.clamp_(0, LARGEST_SCALE)

    def release(self) -> dict[str, Tensor]:
        """Return what was trained under its published names: the tower, or the prompts."""
        if self.mask_embedding is not None:
            return {f"visual.{PROMPT_KEY}": self.mask_embedding.detach()}
        tower = self.clip.model.visual.state_dict()
        return {f"visual.{name}": tensor for name, tensor in tower.items()}


def put_into_whole(whole: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put tuned tensors into a released whole model, for the published code.

    Args:
        whole: names and tensors of a whole model.
        tuned: those of `MaskAdaptation.release`.

    Example:
        >>> put_into_whole({"clip_adapter.clip_model.visual.proj": 1}, {"visual.proj": 2})
        {'clip_adapter.clip_model.visual.proj': 2}
    """
    return {**whole, **{f"clip_adapter.clip_model.{name}": part for name, part in tuned.items()}}
