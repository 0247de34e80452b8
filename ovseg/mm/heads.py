"""The heads of ovseg as decode heads of mmseg's `EncoderDecoder` over `ClipBackbone`.

One class for all heads of a kind; `ovseg.mm.registered` derives those that configs name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ovseg.errors import ConfigError, PromptError
from ovseg.heads.base import Head, WindowHead
from ovseg.mm.backbone import ClipFeatures
from ovseg.mm.checkpoints import require_whole
from ovseg.models.clip import ClipEncoder
from ovseg.prompts.templates import load_templates
from ovseg.prompts.text_bank import TextBank
from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["OpenVocabHead", "WholeImageHead", "merge_synonyms"]


class OpenVocabHead(nn.Module):
    """A head of ovseg with the face of mmseg's decode heads; subclasses name the head.

    The backbone must capture what the head reads: CLIP-DINOiser's trained mode under
    `EncoderDecoder` needs `return_intermediates=["ln_2@-3"]` of `ClipBackbone`.

    Under `EncoderDecoder` mmseg cuts the windows, averages full-size logits and resizes them;
    synonyms are merged at the patches. `OpenVocabSegmentor` does all of that leaner.

    Args:
        vocabulary: the classes, as `Vocabulary.parse` takes them. `EncoderDecoder` needs them.
        templates: prompt templates, as `load_templates` takes them.
        core: a head that is built already, in place of `options`.
        **options: arguments of the head.

    Raises:
        PromptError: fewer than two classes, or unusable ones.

    Attributes:
        core: the head of `ovseg.heads`.
        align_corners: how mmseg resizes logits; always False.
    """

    core_type: ClassVar[type[Head]]
    align_corners = False

    def __init__(
        self,
        *,
        vocabulary: str | Sequence[str] | Vocabulary | None = None,
        templates: str | Sequence[str] = "imagenet80",
        core: Head | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.core = self.core_type(**options) if core is None else core
        self.templates = load_templates(templates)
        self.vocabulary = None if vocabulary is None else Vocabulary.parse(vocabulary)
        if self.vocabulary is not None and len(self.vocabulary) < 2:
            raise PromptError(
                "one class only, which every pixel would get",
                where="decode_head.vocabulary",
                expected="two classes or more",
                fix='add what else there is, for example "dog, background"',
            )
        self._bank: TextBank | None = None
        require_whole(self)

    @property
    def num_classes(self) -> int:
        """Number of classes of the vocabulary.

        Raises:
            PromptError: there is no vocabulary.
        """
        return len(self._classes().classes)

    out_channels = num_classes

    def _classes(self) -> Vocabulary:
        if self.vocabulary is None:
            raise PromptError(
                "the head has no classes",
                where="decode_head.vocabulary",
                fix='name them in the config, for example vocabulary="ade20k" or "cat, dog"',
            )
        return self.vocabulary

    def text_embeddings(self, clip: ClipEncoder) -> Tensor:
        """Return the unit embeddings (Q, E) of the vocabulary, where the encoder is."""
        if self._bank is None or self._bank.clip is not clip:
            self._bank = TextBank(clip, self.templates)
        return self._bank.embeddings(self._classes().prompts, clip.mean.device)

    def forward(self, inputs: ClipFeatures, text_embeddings: Tensor | None = None) -> Tensor:
        """Score the patches.

        Args:
            inputs: what `ClipBackbone` returns.
            text_embeddings: (Q, E) embeddings of the vocabulary where somebody has them; None asks
                `text_embeddings`.

        Returns:
            (B, K, h, w) float32, logits or probabilities as the head has them; a class has the
            score of its best synonym.
        """
        vocabulary = self._classes()
        text_embeddings = (
            self.text_embeddings(inputs.clip) if text_embeddings is None else text_embeddings
        )
        self.core.check(inputs.clip)
        scores = cast("WindowHead", self.core).patch_scores(
            inputs.clip, inputs.backbone_tokens, text_embeddings, vocabulary
        )
        if self.core.score_type == "logits":
            scores = scores * self.core.decode_temperature
        return merge_synonyms(scores, vocabulary.prompt_class, len(vocabulary.classes))

    def predict(
        self,
        inputs: ClipFeatures,
        batch_img_metas: list[dict[str, Any]],
        test_cfg: Mapping[str, Any] | None,
        text_embeddings: Tensor | None = None,
    ) -> Tensor:
        """Score the pixels: (B, K, H, W), of the size of the images that the backbone saw.

        Args:
            inputs: as for `forward`.
            batch_img_metas: what mmseg passes; not needed.
            test_cfg: likewise.
            text_embeddings: as for `forward`.
        """
        scores, (height, width) = self.forward(inputs, text_embeddings), inputs.size
        around = inputs.clip.pad_mode == "around"
        left, right, top, bottom = inputs.clip.margins(inputs.size) if around else (0, 0, 0, 0)
        padded = (top + height + bottom, left + width + right)
        scores = F.interpolate(scores, padded, mode="bilinear", align_corners=False)
        return scores[..., top : top + height, left : left + width]

    def loss(self, *_: Any) -> dict[str, Tensor]:
        """Refuse to train.

        Raises:
            ConfigError: always; the heads have no loss of mmseg's kind.
        """
        raise ConfigError(f"{type(self).__name__} has nothing to train", where="decode_head")


class WholeImageHead(OpenVocabHead):
    """A head that looks at the whole image, so it works in `OpenVocabSegmentor` only."""

    def forward(self, inputs: ClipFeatures, text_embeddings: Tensor | None = None) -> Tensor:
        """Refuse windows without their image.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"{self.core_type.__name__} looks at the whole image, and EncoderDecoder gives it "
            "windows only",
            where="model.type",
            expected="OpenVocabSegmentor",
        )


def merge_synonyms(scores: Tensor, prompt_class: Sequence[int], classes: int) -> Tensor:
    """Take the best prompt of every class.

    Args:
        scores: (B, Q, h, w).
        prompt_class: (Q) class of each prompt.
        classes: K.

    Returns:
        (B, K, h, w).

    Example:
        >>> merge_synonyms(torch.tensor([1.0, 3.0, 2.0]).view(1, 3, 1, 1), (0, 0, 1), 2).flatten()
        tensor([3., 2.])
    """
    if len(prompt_class) == classes:
        return scores
    index = torch.as_tensor(prompt_class, device=scores.device).view(1, -1, 1, 1)
    best = scores.new_full((scores.shape[0], classes, *scores.shape[2:]), float("-inf"))
    return best.scatter_reduce(1, index.expand_as(scores), scores, "amax")
