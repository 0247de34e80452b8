"""What a refiner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor, nn

from ovseg.inference.decode import Decoded

if TYPE_CHECKING:
    from ovseg.heads.base import Head
    from ovseg.models.sam_features import SamFeatures

__all__ = ["Maps", "Refiner"]

Maps = Callable[[Sequence[int]], Tensor]
"""From K classes to their probability maps (K, H, W) float32 at the image's size."""


class Refiner(nn.Module, ABC):
    """Changes a result with the help of the image; works where the maps lie.

    Arguments of a refiner's constructor are kept as attributes of the same names.

    Attributes:
        built_parts: names of those arguments that are networks, built already, and no plain data.
    """

    built_parts: ClassVar[tuple[str, ...]] = ()

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

    @classmethod
    def shared_parts(cls, head: Head, options: Mapping[str, Any]) -> dict[str, nn.Module]:
        """Return what a refiner would build again though the head has it; most have nothing.

        Args:
            head: what is refined, built already.
            options: arguments that the refiner is going to be built with.

        Returns:
            Further arguments of the refiner, each named in `built_parts`.
        """
        return {}

    def fit_patch(self, patch_size: int) -> Refiner:
        """Fit settings that were left open to the patch of the pipeline's CLIP, in place."""
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
        sam_features: SamFeatures | None = None,
    ) -> Decoded:
        """Refine one result.

        Args:
            image_np: (H, W, 3) uint8 RGB, the size of the result.
            decoded: labels and scores.
            maps: gives the probability maps of the classes that the refiner asks for.
            threshold: pixels whose best probability is lower become background.
            background: the background class.
            sam_features: what SAM said about the image when the head asked it; None where no
                head did.
        """
