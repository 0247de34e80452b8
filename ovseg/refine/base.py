"""What a refiner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from ovseg.inference.decode import Decoded

if TYPE_CHECKING:
    from ovseg.heads.base import Head

__all__ = ["Maps", "Refiner"]

Maps = Callable[[Sequence[int]], Tensor]
"""From K classes to their probability maps (K, H, W) float32 at the image's size."""


class Refiner(nn.Module, ABC):
    """Changes a result with the help of the image; works where the maps lie.

    Arguments of a refiner's constructor are kept as attributes of the same names.
    """

    @property
    def weights_hash(self) -> str | None:
        """SHA-256 of the refiner's weights; None where it has none."""
        return None

    def to_precision(self, precision: str) -> Refiner:
        """Cast towers of the refiner's own, in place; most refiners have none.

        Args:
            precision: "fp32", "bf16" or "fp16".
        """
        return self

    def share_sam_encoder(self, head: Head, patch_size: int) -> Refiner:
        """Take a tower of the head's in place of an equal one; most refiners have none.

        Args:
            head: what is refined.
            patch_size: of its CLIP, to which settings that were left open are fitted.
        """
        return self

    @abstractmethod
    def refine(
        self,
        image_np: np.ndarray,
        decoded: Decoded,
        maps: Maps,
        *,
        threshold: float = 0.0,
        background: int = 0,
    ) -> Decoded:
        """Refine one result.

        Args:
            image_np: (H, W, 3) uint8 RGB, the size of the result.
            decoded: labels and scores.
            maps: gives the probability maps of the classes that the refiner asks for.
            threshold: pixels whose best probability is lower become background.
            background: the background class.
        """
