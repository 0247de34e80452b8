"""What a head is, and the common kind that scores every window by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import CosineScores, DenseScores, ScoreGrid, join_windows
from ovseg.inference.tiles import SCORE_TYPES, DecodeOptions
from ovseg.inference.windows import Size, WindowGrid, whole, window_batches

if TYPE_CHECKING:
    from ovseg.inference.windows import InferenceSettings
    from ovseg.models.clip import ClipEncoder
    from ovseg.models.image_encoder import BackboneTokens
    from ovseg.models.sam import SamEncoder
    from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["Head", "WindowHead", "check_temperature", "cosines", "name_weights", "score_image"]


class Head(nn.Module, ABC):
    """Scores the patches of an image.

    Arguments of a head's constructor are kept as attributes of the same names.

    Attributes:
        score_type: "logits" (unless a head says otherwise) or "probs", what the scores are; see
            `ovseg.inference.decode.decode`.
        temperature: factor of the scores inside a softmax over the prompts; 100, as CLIP's own.
        return_intermediates: inner tokens that the head needs of the backbone, as in
            `ClipEncoder.run_backbone`.
        wants_image: whether `forward` looks at the image itself, beside the network's view.
        whole_image_scores: whether the scores are of the image as a whole, evenly stretched over
            it; else of the windows side by side.
    """

    score_type: str = "logits"
    temperature: float = 100.0
    return_intermediates: tuple[str, ...] = ()
    wants_image: bool = False
    whole_image_scores: bool = False

    def check(self, clip: ClipEncoder) -> None:  # noqa: B027 - most heads take any encoder
        """Refuse an encoder that the head cannot work with.

        Raises:
            ConfigError: it is one.
        """

    @classmethod
    def route_weights(cls, spec: dict[str, Any], path: Path) -> None:
        """Name a file of weights in the part of a model that it is for: CLIP, unless overridden.

        Args:
            spec: the plain data of a model with this head; changed in place.
            path: the file.

        Raises:
            CheckpointError: it cannot be read, or holds nothing for such a model.
        """
        name_weights(spec, "backbone", path)

    @classmethod
    def needs_a_file(cls, spec: Mapping[str, Any]) -> bool:
        """Whether a model with this head names weights that have no address.

        It cannot be built without them, so a file that is given must be placed before.

        Args:
            spec: the plain data of the model.
        """
        return any(text.startswith("manual:") for text in _named_weights(spec))

    def decode_options(
        self, cell_alignment: str = "stretch", prompt_class: Sequence[int] | None = None
    ) -> DecodeOptions:
        """Say to decode what the head's scores are; arguments as of `DecodeOptions`."""
        return DecodeOptions(prompt_class, self.score_type, self.decode_temperature, cell_alignment)

    @classmethod
    def fit_to_weights(  # noqa: B027 - most heads are built alike for all weights
        cls, spec: dict[str, Any], read: Callable[[], Mapping[str, Tensor]], path: str | Path
    ) -> None:
        """Settle how a model is built over which a file of weights is loaded afterwards.

        Args:
            spec: the plain data of a model with this head; changed in place.
            read: gives the names and tensors of the file; called by heads to which they matter.
            path: the file, for messages.

        Raises:
            CheckpointError: it cannot be read.
        """

    @property
    def decode_temperature(self) -> float:
        """The temperature that decode takes for this head's scores."""
        return self.temperature

    def resize_input(self, clip: ClipEncoder, image: Tensor, least: tuple[int, int]) -> Tensor:
        """Bring an image (3, H, W) to the size on which windows are laid; most keep its own.

        Args:
            clip: the encoder.
            image: RGB in [0, 1], of the network's size.
            least: (height, width) of a window.
        """
        return image

    @property
    def uses_ground_truth(self) -> bool:
        """Whether the head needs the labels of every image: an experiment, no method."""
        return False

    def extra_prompts(self, vocabulary: Vocabulary) -> tuple[str, ...]:
        """Words that the head compares the vocabulary's with; their rows follow in `text`."""
        return ()

    def sam_built_from(
        self, model: str | Path | Mapping[str, Any], pretrained: str | Path | None
    ) -> SamEncoder | None:
        """Return the head's own SAM where these are what it was built from; most have none.

        Args:
            model: as for `ovseg.models.sam.build_sam`.
            pretrained: likewise; random weights (None) are never the same.
        """
        return None

    def to_precision(self, precision: str) -> Head:
        """Cast towers of the head's own, in place; most heads have none.

        Args:
            precision: "fp32", "bf16" or "fp16".
        """
        return self

    @abstractmethod
    def forward(self, inputs: HeadInput) -> ScoreGrid:
        """Score the cells of all windows; `inputs.image_np` is there where `wants_image`."""


class WindowHead(Head):
    """A head to which windows are images of their own.

    A head that compares features with words, and no more, only defines `patch_features`.

    Attributes:
        lazy: whether the scores are no more than cosines (or their softmax) of `patch_features`.
            Then they are computed when decode asks for them, and any number of prompts fits. A
            head that is not lazy defines `patch_scores`.
    """

    lazy: bool = True

    @abstractmethod
    def patch_features(self, clip: ClipEncoder, backbone_tokens: BackboneTokens) -> Tensor:
        """Return features (B, E, h, w) in the joint space, of any length."""

    def patch_scores(
        self,
        clip: ClipEncoder,
        backbone_tokens: BackboneTokens,
        text_embeddings: Tensor,
        vocabulary: Vocabulary | None = None,
    ) -> Tensor:
        """Return scores (B, Q, h, w) of a batch of windows, of the head's kind."""
        scores = cosines(self.patch_features(clip, backbone_tokens), text_embeddings)
        return scores if self.score_type == "logits" else (self.temperature * scores).softmax(1)

    def forward(self, inputs: HeadInput) -> ScoreGrid:
        """Score the patches of all windows; see `Head`."""
        clip, text_embeddings = inputs.clip, inputs.text_embeddings
        lazy, found = self.lazy, []
        for _, windows in window_batches(inputs.image_tensor, inputs.grid, inputs.batch):
            tokens = clip.run_backbone(windows, self.return_intermediates)
            if lazy:
                found.append(self.patch_features(clip, tokens))
            else:
                scores = self.patch_scores(clip, tokens, text_embeddings, inputs.vocabulary)
                found.append(scores)
        joined = join_windows(torch.cat(found), inputs.grid)
        if not lazy:
            return DenseScores(joined, clip.patch_size)
        softmax = self.temperature if self.score_type == "probs" else None
        return CosineScores(joined, text_embeddings, softmax=softmax, patch=clip.tower.patch_size)


def score_image(
    head: Head, inputs: HeadInput, settings: InferenceSettings, out_size: tuple[int, int]
) -> tuple[ScoreGrid, WindowGrid]:
    """Lay windows over an image and let a head score them.

    Args:
        head: the head.
        inputs: the image, with windows laid over it as the settings say.
        settings: how windows are laid.
        out_size: (H, W) of the result that the scores are decoded to.

    Returns:
        The scores, and the windows that they lie in for `ovseg.inference.decode.decode`.
    """
    least = cast(Size, settings.crop_size) if settings.mode == "slide" else (1, 1)
    image_tensor = head.resize_input(inputs.clip, inputs.image_tensor, least)
    if image_tensor is not inputs.image_tensor:
        _, height, width = image_tensor.shape
        grid = settings.windows((height, width))
        inputs = replace(inputs, image_tensor=image_tensor, grid=grid)
    return head(inputs), whole(out_size) if head.whole_image_scores else inputs.grid


def cosines(features: Tensor, text_embeddings: Tensor) -> Tensor:
    """Cosines (B, Q, h, w) of features (B, E, h, w) and words (Q, E) of unit length."""
    return torch.einsum("qe,behw->bqhw", text_embeddings, functional.normalize(features, dim=1))


def name_weights(spec: dict[str, Any], part: str, path: Path) -> None:
    """Let a part of a model's plain data ask for a file of weights, in place.

    Args:
        spec: the plain data.
        part: "backbone" or "decode_head".
        path: the file.
    """
    spec[part] = {**spec.get(part, {}), "pretrained": str(path)}
    # A tower that was tuned over other weights would hide these.
    spec[part].pop("tuned", None)


def _named_weights(data: Any) -> Iterator[str]:
    """All that plain data name as weights, at any depth."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key in ("pretrained", "tuned"):
                yield str(value)
            else:
                yield from _named_weights(value)


def check_temperature(score_type: str, temperature: float) -> None:
    """Refuse an unknown kind or a temperature that is not positive.

    Raises:
        ConfigError: one of them is wrong.
    """
    if score_type not in SCORE_TYPES:
        raise ConfigError(
            f"unknown score type {score_type!r}",
            where="score_type",
            expected=" or ".join(SCORE_TYPES),
        )
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"temperature {temperature}", where="temperature", expected="above 0")
