"""What a refiner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ovseg.inference.decode import Decoded

__all__ = ["Maps", "Refiner", "from_maps"]

Maps = Callable[[Sequence[int]], Tensor]
"""From K classes to their probability maps (K, H, W) float32 at the picture's size."""


class Refiner(nn.Module, ABC):
    """Changes a result with the help of the picture; works where the maps lie.

    Arguments of a refiner's constructor are kept as attributes of the same names.
    """

    @abstractmethod
    def refine(
        self,
        picture: np.ndarray,
        decoded: Decoded,
        maps: Maps,
        *,
        threshold: float = 0.0,
        background: int = 0,
    ) -> Decoded:
        """Refine one result.

        Args:
            picture: (H, W, 3) uint8 RGB, the size of the result.
            decoded: labels and scores.
            maps: gives the probability maps of the classes that the refiner asks for.
            threshold: pixels whose best probability is lower become background.
            background: the background class.
        """


def from_maps(
    maps: Tensor,
    classes: Sequence[int],
    labels_like: np.ndarray,
    *,
    threshold: float = 0.0,
    background: int = 0,
) -> Decoded:
    """Take the best class of every pixel.

    Args:
        maps: (K, H, W) probabilities.
        classes: what the K maps stand for, ascending.
        labels_like: labels whose dtype the result gets.
        threshold: pixels whose best probability is lower become background.
        background: the background class.
    """
    best, place = maps.max(0)
    labels = torch.as_tensor(classes, device=maps.device)[place]
    labels = labels.masked_fill(best < threshold, background)
    scores = best.clamp(0, 1).cpu().numpy()
    return Decoded(labels.cpu().numpy().astype(labels_like.dtype), scores)
