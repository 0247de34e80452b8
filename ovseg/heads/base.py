"""What a head is, and the common kind that scores every window by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.inference.scores import CosineScores, DenseScores, ScoreGrid, join_windows
from ovseg.inference.tiles import KINDS
from ovseg.inference.windows import WindowGrid, whole, window_batches

if TYPE_CHECKING:
    import numpy as np

    from ovseg.inference.settings import InferenceSettings
    from ovseg.models.clip import ClipEncoder
    from ovseg.models.image_encoder import Trunk
    from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["Head", "WindowHead", "check_temperature", "cosines", "name_weights", "score_picture"]


class Head(nn.Module, ABC):
    """Scores the patches of a picture.

    Arguments of a head's constructor are kept as attributes of the same names.

    Attributes:
        kind: "logits" (unless a head says otherwise) or "probs", what the scores are; see
            `ovseg.inference.decode.decode`.
        temperature: factor of the scores inside a softmax over the queries; 100, as CLIP's own.
        capture: inner tokens that the head needs of a trunk, as in `ClipEncoder.trunk`.
        wants_picture: whether `forward` looks at the picture itself, beside the network's view.
        joined: whether the scores are of the picture as a whole, evenly stretched over it; else
            of the windows side by side.
    """

    kind: str = "logits"
    temperature: float = 100.0
    capture: ClassVar[tuple[str, ...]] = ()
    wants_picture: bool = False
    joined: bool = False

    def check(self, clip: ClipEncoder) -> None:  # noqa: B027 - most heads take any encoder
        """Refuse an encoder that the head cannot work with.

        Raises:
            ConfigError: it is one.
        """

    @classmethod
    def place_weights(cls, spec: dict[str, Any], path: Path) -> None:
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
        return any(text.startswith("byhand:") for text in _named_weights(spec))

    @property
    def decode_temperature(self) -> float:
        """The temperature that decode takes for this head's scores."""
        return self.temperature

    def fit(self, clip: ClipEncoder, image: Tensor, least: tuple[int, int]) -> Tensor:
        """Bring a picture (3, H, W) to the size on which windows are laid; most keep its own.

        Args:
            clip: the encoder.
            image: RGB in [0, 1], of the network's size.
            least: (height, width) of a window.
        """
        return image

    def extra_queries(self, vocabulary: Vocabulary) -> tuple[str, ...]:
        """Words that the head compares the vocabulary's with; their rows follow in `text`."""
        return ()

    def to_precision(self, precision: str) -> Head:
        """Cast towers of the head's own, in place; most heads have none.

        Args:
            precision: "fp32", "bf16" or "fp16".
        """
        return self

    @abstractmethod
    def forward(
        self,
        clip: ClipEncoder,
        image: Tensor,
        grid: WindowGrid,
        text: Tensor,
        batch: int = 8,
        vocabulary: Vocabulary | None = None,
        picture: np.ndarray | None = None,
    ) -> ScoreGrid:
        """Score the patches of all windows.

        Args:
            clip: the encoder.
            image: (3, H, W) RGB in [0, 1].
            grid: where the windows lie.
            text: (Q, E) unit rows.
            batch: windows that go through a tower at a time.
            vocabulary: the classes behind `text`, for heads that treat the background apart.
            picture: (H, W, 3) uint8 RGB, the picture at its own size, where `wants_picture`.
        """


class WindowHead(Head):
    """A head to which windows are pictures of their own.

    A head that compares features with words, and no more, only defines `patch_features`.
    """

    @property
    def lazy(self) -> bool:
        """Whether the scores are no more than cosines (or their softmax) of `patch_features`.

        Then they are computed when decode asks for them, and any number of queries fits. A head
        that is not lazy defines `patch_scores`.
        """
        return True

    @abstractmethod
    def patch_features(self, clip: ClipEncoder, trunk: Trunk) -> Tensor:
        """Return features (B, E, h, w) in the joint space, of any length."""

    def patch_scores(
        self, clip: ClipEncoder, trunk: Trunk, text: Tensor, vocabulary: Vocabulary | None = None
    ) -> Tensor:
        """Return scores (B, Q, h, w) of a batch of windows, of the head's kind."""
        scores = cosines(self.patch_features(clip, trunk), text)
        return scores if self.kind == "logits" else (self.temperature * scores).softmax(1)

    def forward(
        self,
        clip: ClipEncoder,
        image: Tensor,
        grid: WindowGrid,
        text: Tensor,
        batch: int = 8,
        vocabulary: Vocabulary | None = None,
        picture: np.ndarray | None = None,
    ) -> ScoreGrid:
        """Score the patches of all windows; see `Head`."""
        lazy, found = self.lazy, []
        for _, windows in window_batches(image, grid, batch):
            trunk = clip.trunk(windows, self.capture)
            if lazy:
                found.append(self.patch_features(clip, trunk))
            else:
                found.append(self.patch_scores(clip, trunk, text, vocabulary))
        joined = join_windows(torch.cat(found), grid)
        if not lazy:
            return DenseScores(joined, clip.patch_size)
        softmax = self.temperature if self.kind == "probs" else None
        return CosineScores(joined, text, softmax=softmax, patch=clip.patch_size)


def score_picture(
    head: Head,
    clip: ClipEncoder,
    image: Tensor,
    settings: InferenceSettings,
    text: Tensor,
    out_size: tuple[int, int],
    *,
    batch: int = 8,
    vocabulary: Vocabulary | None = None,
    picture: np.ndarray | None = None,
) -> tuple[ScoreGrid, WindowGrid]:
    """Lay windows over a picture and let a head score them.

    Args:
        head: the head; the other arguments are those of `Head.forward`.
        clip: the encoder.
        image: (3, H, W) RGB in [0, 1], of the network's size, on the encoder's device.
        settings: how windows are laid.
        text: (Q, E) unit rows.
        out_size: (H, W) of the result that the scores are decoded to.
        batch: windows at a time.
        vocabulary: the classes.
        picture: (H, W, 3) uint8 RGB.

    Returns:
        The scores, and the windows that they lie in for `ovseg.inference.decode.decode`.
    """
    least = settings.crop_size if settings.mode == "slide" else (1, 1)
    image = head.fit(clip, image, least)
    grid = settings.windows(tuple(image.shape[1:]))
    scores = head(clip, image, grid, text, batch, vocabulary, picture)
    return scores, whole(out_size) if head.joined else grid


def cosines(features: Tensor, text: Tensor) -> Tensor:
    """Cosines (B, Q, h, w) of features (B, E, h, w) and words (Q, E) of unit length."""
    return torch.einsum("qe,behw->bqhw", text, functional.normalize(features, dim=1))


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


def check_temperature(kind: str, temperature: float) -> None:
    """Refuse an unknown kind or a temperature that is not positive.

    Raises:
        ConfigError: one of them is wrong.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind {kind!r}", where="kind", expected=" or ".join(KINDS))
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"temperature {temperature}", where="temperature", expected="above 0")
