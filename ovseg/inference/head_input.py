"""What a head, or a proposer of masks, is given of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ovseg.inference.windows import WindowGrid

if TYPE_CHECKING:
    import numpy as np

    from ovseg.models.clip import ClipEncoder
    from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["HeadInput"]


@dataclass(frozen=True)
class HeadInput:
    """An image, what is looked for in it, and the encoder to look with.

    Attributes:
        clip: the encoder.
        image_tensor: (3, H, W) RGB in [0, 1], of the network's size, on the encoder's device.
        text_embeddings: (Q, E) unit rows.
        grid: where the windows lie.
        batch: windows that go through an encoder at a time.
        vocabulary: the classes behind `text_embeddings`; None where the rows are all there is.
        image_np: (H, W, 3) uint8 RGB, the image at its own size; None where nobody asked for it.
        masks: masks of the image that somebody has already, as `PrecomputedMaskProposer.give`
            takes them, for the proposer that proposes just these; None: there are none.
    """

    clip: ClipEncoder
    image_tensor: Tensor
    text_embeddings: Tensor
    grid: WindowGrid
    batch: int = 8
    vocabulary: Vocabulary | None = None
    image_np: np.ndarray | None = None
    masks: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image as the network sees it."""
        height, width = self.image_tensor.shape[1:]
        return height, width
