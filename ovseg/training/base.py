"""What a recipe is: how a model learns from images, with the teachers that it needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ovseg.heads import Head
from ovseg.models.clip import ClipEncoder

__all__ = ["Recipe"]


class Recipe(ABC):
    """What a model learns.

    Attributes:
        frozen_parts: parts of the segmentor that are not trained; checkpoints leave them out.
    """

    frozen_parts: ClassVar[tuple[str, ...]] = ("backbone",)

    @abstractmethod
    def prepare(self, clip: ClipEncoder, head: Head) -> None:
        """Choose what is trained; the encoder comes frozen, with the weights to start from.

        Raises:
            ConfigError: the recipe is not one for this encoder or head.
        """

    def prepare_teachers(self, device: torch.device) -> None:  # noqa: B027 - not all have any
        """Build the frozen teachers, where that is not done; called before the first iteration.

        Raises:
            CheckpointError: weights of a teacher that cannot be had.
        """

    @abstractmethod
    def losses(
        self, clip: ClipEncoder, head: Head, images: Tensor, samples: Sequence[Any] = ()
    ) -> dict[str, Tensor]:
        """Named losses, to be summed.

        Args:
            clip: the encoder.
            head: the head.
            images: (B, 3, H, W) RGB in [0, 1].
            samples: what else the data set tells of each image.
        """

    def release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take the trained weights out of a segmentor's checkpoint, under their public names."""
        prefix = "decode_head.core."
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in state.items()
            if name.startswith(prefix)
        }
