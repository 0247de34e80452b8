"""The one inference path: picture, windows, read-out, words, decode, refiner; plain torch."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import ConfigError, InputError
from ovseg.heads.base import Head, score_picture
from ovseg.images.rgb import require_rgb, to_pixels
from ovseg.inference.decode import Decoded, PictureMaps, decode
from ovseg.inference.memory import within_memory
from ovseg.inference.scores import ScoreGrid
from ovseg.inference.settings import InferenceSettings
from ovseg.inference.windows import WindowGrid
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.prompts.text_bank import TextBank
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.refine.base import Refiner
from ovseg.registry import HEADS, REFINERS
from ovseg.utils.plain_data import arguments_of, build, check_keys, options_of
from ovseg.weights.read import hash_state

__all__ = ["Pipeline", "build_pipeline", "usable_precision"]

Words = str | Sequence[str] | Vocabulary
T = TypeVar("T")

_TEXTS_KEPT = 8
_FEW_NUMBERS = 1 << 16


class Pipeline:
    """Everything between a picture with words and a label for every pixel.

    Args:
        clip: the encoder.
        head: scores the patches.
        refiner: sharpens the result; None for none.
        templates: prompt templates, as `ovseg.prompts.templates.load_templates` takes them.
        settings: windows, sizes and threshold.
        cache_dir: folder of the text cache; see `TextBank`.

    Raises:
        ConfigError: the head or the settings do not go with the encoder.
    """

    def __init__(
        self,
        clip: ClipEncoder,
        head: Head,
        *,
        refiner: Refiner | None = None,
        templates: str | Path | Sequence[str] = "imagenet80",
        settings: InferenceSettings | None = None,
        cache_dir: str | Path | Literal["default"] | None = "default",
    ) -> None:
        self.clip = clip
        head.check(clip)
        self.head = head.eval().to(clip.mean.device)
        if refiner is not None:
            refiner = refiner.share(head, clip.patch_size).eval().to(self.device)
        self.refiner = refiner
        self.templates = templates
        self.settings = settings or InferenceSettings()
        _check_padding(clip, self.settings)
        self.bank = TextBank(clip, templates, cache_dir=cache_dir)
        self._texts: OrderedDict[tuple[str, ...], Tensor] = OrderedDict()

    @property
    def device(self) -> torch.device:
        """Where the towers are."""
        return self.clip.mean.device

    def to(self, device: str | torch.device) -> Pipeline:
        """Move the towers, the head and the refiner, in place."""
        for part in (self.clip, self.head, self.refiner):
            if part is not None:
                part.to(device)
        return self

    def protocol(self) -> dict[str, Any]:
        """Return every setting that moves the result, as plain data."""
        clip = self.clip
        templates = self.templates
        state = self.head.state_dict()
        return {
            "model": clip.name,
            "weights_hash": clip.weights_hash,
            "head_weights_hash": hash_state(state) if state else None,
            "normalization": clip.normalization,
            "pad": clip.pad,
            "position_rule": clip.tower.position_rule,
            "precision": str(clip.dtype).removeprefix("torch."),
            "decode_head": options_of(self.head, HEADS),
            "refiner": None if self.refiner is None else options_of(self.refiner, REFINERS),
            "refiner_weights_hash": None if self.refiner is None else self.refiner.weights_hash,
            "templates": str(templates) if isinstance(templates, (str, Path)) else list(templates),
            "template_count": len(self.bank.templates),
            **asdict(self.settings),
        }

    def prepare(self, picture: np.ndarray) -> Tensor:
        """Resize a picture to the network's size, bilinearly on uint8.

        Args:
            picture: (H, W, 3) uint8 RGB.

        Returns:
            (3, H', W') float32 in [0, 1], on the CPU.

        Raises:
            InputError: no such array.
        """
        require_rgb(picture)
        height, width = self.settings.network_size(picture.shape[:2])
        if (height, width) != picture.shape[:2]:
            picture = _resize(picture, (height, width), self.settings.resize)
        return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255

    def text(self, vocabulary: Vocabulary) -> Tensor:
        """Return the unit vectors (Q, E) of a vocabulary's queries; recent ones are kept.

        Queries that the head adds of its own come last.

        Raises:
            PromptError: a query that cannot be encoded.
        """
        key = vocabulary.queries + self.head.extra_queries(vocabulary)
        if key not in self._texts:
            self._texts[key] = self.bank.encode(key)
        self._texts.move_to_end(key)
        while len(self._texts) > _TEXTS_KEPT:
            self._texts.popitem(last=False)
        return self._texts[key].to(self.device)

    def __call__(
        self, picture: np.ndarray, vocabulary: Words, *, want_scores: bool = True
    ) -> Decoded:
        """Label every pixel of a picture.

        Args:
            picture: (H, W, 3) uint8 RGB.
            vocabulary: the classes.
            want_scores: also return probabilities.

        Raises:
            InputError: the picture is no such array.
            PromptError: unusable words.
            RuntimeLimitError: memory is not enough.
        """
        image = self.prepare(picture)
        return self.predict(
            image, vocabulary, picture.shape[:2], picture=picture, want_scores=want_scores
        )

    @torch.inference_mode()
    def predict(
        self,
        image: Tensor,
        vocabulary: Words,
        out_size: tuple[int, int],
        picture: np.ndarray | None = None,
        *,
        want_scores: bool = True,
    ) -> Decoded:
        """Label every pixel of a picture that has the network's size already.

        Args:
            image: (3, H', W') RGB in [0, 1].
            vocabulary: the classes.
            out_size: (H, W) of the result.
            picture: (H, W, 3) uint8 RGB, of the result's size, for a refiner or a head that looks
                at it; None makes it from `image`.
            want_scores: also return probabilities.

        Raises:
            InputError: another shape, or values that are no picture's.
            PromptError: unusable words.
            RuntimeLimitError: memory is not enough.
        """
        _check_image(image)
        vocabulary = Vocabulary.parse(vocabulary)
        out_size = tuple(out_size)
        text = self.text(vocabulary)
        background = vocabulary.background or 0
        threshold = self.settings.threshold
        picture = self._picture(image, out_size, picture)

        def attempt(pieces: tuple[int, int | None]) -> Decoded:
            batch, numbers = pieces
            options = self._decode_options(vocabulary, numbers)
            scores, grid = self._scores(image, text, vocabulary, batch, out_size, picture)
            found = decode(
                scores,
                grid,
                out_size,
                threshold=threshold,
                background=background,
                want_scores=want_scores,
                **options,
            )
            if self.refiner is None:
                return found
            wanted = PictureMaps(scores, grid, out_size, options)
            return self.refiner.refine(
                picture, found, wanted, threshold=threshold, background=background
            )

        return self._within_memory(attempt, image, len(text), out_size)

    @torch.inference_mode()
    def probabilities(
        self,
        image: Tensor,
        vocabulary: Words,
        out_size: tuple[int, int],
        picture: np.ndarray | None = None,
    ) -> Tensor:
        """Return the probability (K, H, W) of every class, before threshold and refiner.

        For other programs that want whole maps; labels are to be had for far less memory.

        Args:
            image: (3, H', W') RGB in [0, 1].
            vocabulary: the classes.
            out_size: (H, W) of the result.
            picture: as in `predict`.

        Raises:
            InputError: another shape, or values that are no picture's.
            PromptError: unusable words.
            RuntimeLimitError: memory is not enough.
        """
        _check_image(image)
        vocabulary = Vocabulary.parse(vocabulary)
        out_size = tuple(out_size)
        text = self.text(vocabulary)
        picture = self._picture(image, out_size, picture)

        def attempt(pieces: tuple[int, int | None]) -> Tensor:
            batch, numbers = pieces
            scores, grid = self._scores(image, text, vocabulary, batch, out_size, picture)
            classes = range(len(vocabulary.classes))
            options = self._decode_options(vocabulary, numbers)
            return PictureMaps(scores, grid, out_size, options)(classes)

        return self._within_memory(attempt, image, len(text), out_size)

    def _picture(
        self, image: Tensor, out_size: tuple[int, int], picture: np.ndarray | None
    ) -> np.ndarray | None:
        """Return the picture that a refiner or the head looks at; None where nobody does."""
        if picture is None and (self.refiner is not None or self.head.wants_picture):
            return _picture_of(image, out_size)
        return picture

    def _scores(
        self,
        image: Tensor,
        text: Tensor,
        vocabulary: Vocabulary,
        batch: int,
        out_size: tuple[int, int],
        picture: np.ndarray | None,
    ) -> tuple[ScoreGrid, WindowGrid]:
        """Return the scores, and the windows that they lie in for decode."""
        image = image.to(self.device)
        return score_picture(
            self.head,
            self.clip,
            image,
            self.settings,
            text,
            out_size,
            batch=batch,
            vocabulary=vocabulary,
            picture=picture,
        )

    def _decode_options(self, vocabulary: Vocabulary, numbers: int | None) -> dict[str, Any]:
        return {
            "query_class": vocabulary.query_class,
            "kind": self.head.kind,
            "temperature": self.head.decode_temperature,
            "align": self.settings.align,
            "numbers": numbers,
        }

    def _within_memory(
        self,
        attempt: Callable[[tuple[int, int | None]], T],
        image: Tensor,
        queries: int,
        out_size: tuple[int, int],
    ) -> T:
        """Try as set, then decode in small pieces, then also go window by window."""
        batch = self.settings.window_batch
        return within_memory(
            attempt,
            [(batch, None), (batch, _FEW_NUMBERS), (1, _FEW_NUMBERS)],
            f"{out_size[0]} x {out_size[1]} pixels, {queries} queries, {self.device}",
            self._estimate(image, queries, out_size),
        )

    def _estimate(self, image: Tensor, queries: int, out_size: tuple[int, int]) -> int:
        """Bytes that one picture needs at least, roughly."""
        grid = self.settings.windows(tuple(image.shape[1:]))
        cells = len(grid) * grid.crop[0] * grid.crop[1] // self.clip.patch_size**2
        features = cells * self.clip.embed_dim * 3 + queries * self.clip.embed_dim
        return 4 * (image.numel() + features + 2 * out_size[0] * out_size[1])


def build_pipeline(
    spec: Mapping[str, Any],
    *,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
    strict: bool = False,
    cache_dir: str | Path | Literal["default"] | None = "default",
) -> Pipeline:
    """Build a pipeline from plain data: the model part of a configuration.

    Args:
        spec: keys `type`, `backbone` (type `ClipBackbone` and arguments of `build_clip`),
            `decode_head` (a type of `ovseg.registry.HEADS` and its arguments), `refiner` (None, or
            a type of `ovseg.registry.REFINERS` and its arguments), `templates`, `vocabulary` (not
            used here) and `test_cfg` (arguments of `InferenceSettings`).
        device: where the towers go.
        precision: "fp32", "bf16" or "fp16"; what the device cannot do falls back, with a warning.
        strict: refuse what would otherwise be mended with a warning.
        cache_dir: folder of the text cache; see `TextBank`.

    Raises:
        ConfigError: unknown keys, types or values; found before any weights are read.
        CheckpointError: weights that cannot be had, read or fitted.

    Example:
        >>> tiny = {"type": "ClipBackbone", "model": "asset:clip_tiny", "pretrained": None}
        >>> head = {"type": "MaskClipHead", "temperature": 40.0}
        >>> pipeline = build_pipeline({"backbone": tiny, "decode_head": head})
        >>> pipeline.protocol()["decode_head"]["readout"]
        'value'
    """
    keys = ["type", "backbone", "decode_head", "refiner", "templates", "vocabulary", "test_cfg"]
    spec = check_keys(spec, keys, "model")
    if spec.get("type", "OpenVocabSegmentor") != "OpenVocabSegmentor":
        raise ConfigError(
            f"unknown type {spec['type']!r}", where="model.type", expected="OpenVocabSegmentor"
        )
    settings = InferenceSettings.from_mapping(spec.get("test_cfg"))
    wanted = spec.get("refiner")
    if wanted is not None:
        arguments_of(wanted, REFINERS, "refiner")
    backbone = arguments_of(spec.get("backbone"), {"ClipBackbone": build_clip}, "backbone")[1]
    for reserved in ("device", "precision"):
        if reserved in backbone:
            raise ConfigError(
                f"{reserved} is no matter of the model", where="backbone", fix="leave it out"
            )
    head = build(spec.get("decode_head"), HEADS, "decode_head")
    options_of(head, HEADS)  # what the protocol will ask for: now, not after hours of evaluation
    precision = usable_precision(precision, device)
    refiner = None
    if wanted is not None:
        refiner = build(wanted, REFINERS, "refiner").to(device).to_precision(precision)
    clip = build_clip(**backbone, device=device, precision=precision)
    return Pipeline(
        clip,
        head.to(device).to_precision(precision),
        refiner=refiner,
        templates=spec.get("templates", "imagenet80"),
        settings=settings.fit_patch(clip.patch_size, strict=strict),
        cache_dir=cache_dir,
    )


def usable_precision(precision: str, device: str | torch.device) -> str:
    """Return the precision, or the nearest one that the device can do, with a warning.

    Args:
        precision: "fp32", "bf16" or "fp16".
        device: a device.

    Example:
        >>> usable_precision("fp32", "cpu")
        'fp32'
    """
    kind, usable = torch.device(device).type, precision
    if (kind == "cpu" and precision == "fp16") or (kind == "mps" and precision != "fp32"):
        usable = "fp32"
    elif kind == "cuda" and precision == "bf16":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
        usable = precision if supported else "fp16"
    if usable != precision:
        warnings.warn(f"{device} cannot do {precision}: {usable} is used", stacklevel=2)
    return usable


def _check_padding(clip: ClipEncoder, settings: InferenceSettings) -> None:
    """Refuse padding around windows of which decode knows nothing, and the reverse."""
    if (clip.pad == "around") != (settings.align == "around"):
        raise ConfigError(
            f"the encoder pads {clip.pad!r}, the windows are aligned {settings.align!r}",
            where="backbone.pad, test_cfg.align",
            expected="around for both or for neither",
        )


def _check_image(image: Tensor) -> None:
    """Refuse what is no picture in [0, 1]."""
    if image.ndim != 3 or image.shape[0] != 3 or not image.numel():
        raise InputError(f"image of shape {tuple(image.shape)}", expected="(3, H, W), not empty")
    bad = ~torch.isfinite(image)
    if bool(bad.any()):
        index = tuple(bad.nonzero()[0].tolist())
        raise InputError(
            f"value {float(image[index])} in the image",
            where=f"index {index}",
            expected="finite numbers from 0 to 1",
        )
    low, high = image.aminmax()
    if low < -0.01 or high > 1.01:
        raise InputError(
            f"values from {float(low):.3g} to {float(high):.3g} in the image",
            expected="RGB from 0 to 1, not normalised",
        )


def _resize(picture: np.ndarray, size: tuple[int, int], rule: str) -> np.ndarray:
    """Resize (H, W, 3) uint8 to `size` by the rule of a library."""
    if rule == "pillow":
        from PIL import Image

        seen = Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR)
        return np.array(seen)
    import cv2

    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR)


def _picture_of(image: Tensor, size: tuple[int, int]) -> np.ndarray:
    picture = to_pixels(image)
    if picture.shape[:2] == size:
        return picture
    return _resize(picture, size, "opencv")
