"""What proposes masks, and what a proposal is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ovseg.errors import InputError

if TYPE_CHECKING:
    from ovseg.inference.head_input import HeadInput
    from ovseg.models.clip import ClipEncoder

__all__ = ["MaskProposals", "Proposer"]


@dataclass(frozen=True)
class MaskProposals:
    """Masks of one image at test size; they may overlap and need not cover it.

    Attributes:
        prob: (Q, h, w) probability of belonging, float from 0 to 1; or bool for hard masks.
        class_logits: (Q, C + 1) scores of the words, those of "no object" last, before a softmax
            over all of them; None from a source that knows no words.
        quality: (Q) from 0 to 1, how good a mask is by its source's own judgement; None where
            it has none.

    Raises:
        InputError: parts that do not fit each other.
    """

    prob: Tensor
    class_logits: Tensor | None = None
    quality: Tensor | None = None

    def __post_init__(self) -> None:
        if self.prob.ndim != 3:
            raise InputError(f"masks of shape {tuple(self.prob.shape)}", expected="(Q, h, w)")
        for name in ("class_logits", "quality"):
            part = getattr(self, name)
            if part is not None and len(part) != len(self.prob):
                raise InputError(f"{len(part)} rows of {name} for {len(self.prob)} masks")

    @property
    def hard(self) -> bool:
        """Whether a pixel belongs to a mask or not, with nothing between."""
        return self.prob.dtype == torch.bool


class Proposer(nn.Module, ABC):
    """Proposes masks.

    Arguments of a proposer's constructor are kept as attributes of the same names. Weights of its
    own (backbone, decoders, the row for "no object") are its parameters.
    """

    @property
    def uses_ground_truth(self) -> bool:
        """Whether the labels of every image have to be given to it, as `masks`."""
        return False

    def check(self, clip: ClipEncoder) -> None:  # noqa: B027 - most proposers take any encoder
        """Refuse an encoder that the proposer cannot work with.

        Raises:
            ConfigError: it is one.
        """

    def to_precision(self, precision: str) -> Proposer:
        """Cast towers of the proposer's own, in place; most have none.

        Args:
            precision: "fp32", "bf16" or "fp16".
        """
        return self

    def released(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what a released whole model holds for this proposer, by the proposer's names."""
        return {}

    @abstractmethod
    def propose(self, inputs: HeadInput) -> MaskProposals:
        """Return masks of an image, (Q, h, w) at the size of `inputs.image_tensor`; Q may be 0."""
