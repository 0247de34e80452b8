"""The one inference path: image, windows, read-out, words, decode, refiner; plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import ConfigError, InputError, RuntimeLimitError
from ovseg.heads.base import Head, score_image
from ovseg.images.decode import require_rgb
from ovseg.images.resize import image_of, resize_image
from ovseg.inference.decode import Decoded, DecodeOptions, ImageMaps, decode
from ovseg.inference.head_input import HeadInput
from ovseg.inference.memory import recover_memory
from ovseg.inference.windows import InferenceSettings
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.prompts.text_bank import TextBank
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.refine.base import Refiner
from ovseg.registry import HEADS, REFINERS
from ovseg.utils.plain_data import build, check_keys, resolve_type, to_config
from ovseg.weights.read import hash_state

__all__ = ["Pipeline", "build_pipeline"]

ClassNames = str | Sequence[str] | Vocabulary
T = TypeVar("T")

_FEW_ELEMENTS = 1 << 16


class Pipeline:
    """Everything between an image with words and a label for every pixel.

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
            refiner = refiner.fit_patch(clip.patch_size).eval().to(self.device)
        self.refiner = refiner
        self.templates = templates
        self.settings = settings or InferenceSettings()
        self.settings.check_padding(clip.pad_mode)
        self.bank = TextBank(clip, templates, cache_dir=cache_dir)

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
            "pad_mode": clip.pad_mode,
            "position_rule": clip.tower.position_rule,
            "precision": str(clip.dtype).removeprefix("torch."),
            "decode_head": to_config(self.head, HEADS),
            "refiner": None if self.refiner is None else to_config(self.refiner, REFINERS),
            "refiner_weights_hash": None if self.refiner is None else self.refiner.weights_hash,
            "templates": str(templates) if isinstance(templates, (str, Path)) else list(templates),
            "template_count": len(self.bank.templates),
            **asdict(self.settings),
        }

    def prepare(self, image: np.ndarray) -> Tensor:
        """Resize an image to the network's size, bilinearly on uint8.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (3, H', W') float32 in [0, 1], on the CPU.

        Raises:
            InputError: no such array.
        """
        if image.dtype != np.uint8 or image.shape[2:] != (3,) or not image.size:
            require_rgb(image)  # says what is wrong
        height, width = self.settings.network_size(image.shape[:2])
        if (height, width) != image.shape[:2]:
            image = resize_image(image, (height, width), self.settings.resize)
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255

    def text_embeddings(self, vocabulary: Vocabulary) -> Tensor:
        """Return the unit vectors (Q, E) of a vocabulary's prompts; the bank keeps recent ones.

        Queries that the head adds of its own come last.

        Raises:
            PromptError: a prompt that cannot be encoded.
        """
        prompts = vocabulary.prompts + self.head.extra_prompts(vocabulary)
        return self.bank.embeddings(prompts, self.device)

    def __call__(
        self, image_np: np.ndarray, vocabulary: ClassNames, *, want_scores: bool = True
    ) -> Decoded:
        """Label every pixel of an image.

        Args:
            image_np: (H, W, 3) uint8 RGB.
            vocabulary: the classes.
            want_scores: also return probabilities.

        Raises:
            InputError: the image is no such array.
            PromptError: unusable words.
            RuntimeLimitError: memory is not enough.
        """
        image_tensor = self.prepare(image_np)
        return self.predict(
            image_tensor, vocabulary, image_np.shape[:2], image_np=image_np, want_scores=want_scores
        )

    @torch.inference_mode()
    def predict(
        self,
        image_tensor: Tensor,
        vocabulary: ClassNames,
        out_size: tuple[int, int],
        image_np: np.ndarray | None = None,
        *,
        want_scores: bool = True,
        masks: Tensor | None = None,
    ) -> Decoded:
        """Label every pixel of an image that has the network's size already.

        Args:
            image_tensor: (3, H', W') RGB in [0, 1].
            vocabulary: the classes.
            out_size: (H, W) of the result.
            image_np: (H, W, 3) uint8 RGB, of the result's size, for a refiner or a head that looks
                at it; None makes it from `image_tensor`.
            want_scores: also return probabilities.
            masks: masks of the image that somebody has already, as `PrecomputedMaskProposer.give`
                takes them, for a head with this proposer; None where the head finds its own.

        Raises:
            InputError: another shape, or values that are no image's.
            PromptError: unusable words.
            RuntimeLimitError: memory is not enough.
        """
        if not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary.parse(vocabulary)
        request = self._request(image_tensor, vocabulary, out_size, image_np, masks)
        background = vocabulary.background or 0
        threshold = self.settings.threshold

        def attempt(inputs: HeadInput, options: DecodeOptions) -> Decoded:
            scores, grid = score_image(self.head, inputs, self.settings, out_size)
            found = decode(
                scores,
                grid,
                out_size,
                options,
                threshold=threshold,
                background=background,
                want_scores=want_scores,
            )
            if self.refiner is None:
                return found
            maps = ImageMaps(scores, grid, out_size, options)
            return self.refiner.refine(
                cast("np.ndarray", inputs.image_np),
                found,
                maps,
                threshold=threshold,
                background=background,
                sam_features=scores.sam_features,
            )

        return self._within_memory(attempt, request, vocabulary.prompt_class, out_size)

    @torch.inference_mode()
    def probabilities(
        self,
        image_tensor: Tensor,
        vocabulary: ClassNames,
        out_size: tuple[int, int],
        image_np: np.ndarray | None = None,
        masks: Tensor | None = None,
    ) -> Tensor:
        """Return the probability (K, H, W) of every class, before threshold and refiner.

        For other programs that want whole maps; labels are to be had for far less memory.

        Args:
            image_tensor: (3, H', W') RGB in [0, 1].
            vocabulary: the classes.
            out_size: (H, W) of the result.
            image_np: as in `predict`.
            masks: as in `predict`.

        Raises:
            InputError: another shape, or values that are no image's.
            PromptError: unusable words.
            RuntimeLimitError: memory is not enough.
        """
        if not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary.parse(vocabulary)
        request = self._request(image_tensor, vocabulary, out_size, image_np, masks)
        classes = range(len(vocabulary.classes))

        def attempt(inputs: HeadInput, options: DecodeOptions) -> Tensor:
            scores, grid = score_image(self.head, inputs, self.settings, out_size)
            return ImageMaps(scores, grid, out_size, options)(classes)

        return self._within_memory(attempt, request, vocabulary.prompt_class, out_size)

    def _request(
        self,
        image_tensor: Tensor,
        vocabulary: Vocabulary,
        out_size: tuple[int, int],
        image_np: np.ndarray | None,
        masks: Tensor | None,
    ) -> HeadInput:
        """Return what the head is given; its windows are laid later."""
        _check_image(image_tensor)
        _, height, width = image_tensor.shape
        if image_np is None and (self.refiner is not None or self.head.wants_image):
            image_np = image_of(image_tensor, out_size)
        return HeadInput(
            self.clip,
            image_tensor.to(self.device),
            self.text_embeddings(vocabulary),
            self.settings.windows((height, width)),
            self.settings.window_batch,
            vocabulary,
            image_np,
            masks,
        )

    def _within_memory(
        self,
        attempt: Callable[[HeadInput, DecodeOptions], T],
        request: HeadInput,
        prompt_class: Sequence[int],
        out_size: tuple[int, int],
    ) -> T:
        """Try as set, then decode in small chunks, then also go window by window.

        Raises:
            RuntimeLimitError: memory is not enough for any of them.
        """
        options = self.head.decode_options(self.settings.cell_alignment, prompt_class)
        small = replace(options, max_elements=_FEW_ELEMENTS)
        tries = ((request, options), (request, small), (replace(request, batch=1), small))
        for number, (inputs, chosen) in enumerate(tries):
            try:
                return attempt(inputs, chosen)
            except (RuntimeError, MemoryError) as error:
                recover_memory(error, last=number == len(tries) - 1)
        num_prompts = len(request.text_embeddings)
        needed = -(-self._estimate(request, out_size) >> 20)
        raise RuntimeLimitError(
            "not enough memory, not even in the smallest pieces",
            where=f"{out_size[0]} x {out_size[1]} pixels, {num_prompts} prompts, {self.device}",
            expected=f"at least {needed} MB beside the weights",
            fix="set a smaller test_cfg.short_side, use fewer classes, or another device",
        )

    def _estimate(self, request: HeadInput, out_size: tuple[int, int]) -> int:
        """Bytes that one image needs at least, roughly."""
        grid, embed_dim = request.grid, self.clip.embed_dim
        cells = len(grid) * grid.crop[0] * grid.crop[1] // self.clip.patch_size**2
        features = cells * embed_dim * 3 + len(request.text_embeddings) * embed_dim
        return 4 * (request.image_tensor.numel() + features + 2 * out_size[0] * out_size[1])


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
        precision: "fp32", "bf16" or "fp16", one that the device can do; see
            `ovseg.utils.devices.choose_precision`.
        strict: refuse what would otherwise be mended with a warning.
        cache_dir: folder of the text cache; see `TextBank`.

    Raises:
        ConfigError: unknown keys, types or values; found before any weights are read.
        CheckpointError: weights that cannot be had, read or fitted.

    Example:
        >>> tiny = {"type": "ClipBackbone", "model": "asset:clip_tiny", "pretrained": None}
        >>> head = {"type": "MaskClipHead", "temperature": 40.0}
        >>> pipeline = build_pipeline({"backbone": tiny, "decode_head": head})
        >>> pipeline.protocol()["decode_head"]["attention_mode"]
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
        resolve_type(wanted, REFINERS, "refiner")
    backbone = resolve_type(spec.get("backbone"), {"ClipBackbone": build_clip}, "backbone")[1]
    for reserved in ("device", "precision"):
        if reserved in backbone:
            raise ConfigError(
                f"{reserved} is no matter of the model", where="backbone", fix="leave it out"
            )
    head = build(spec.get("decode_head"), HEADS, "decode_head")
    to_config(head, HEADS)  # what the protocol will ask for: now, not after hours of evaluation
    refiner = None
    if wanted is not None:
        _, options = resolve_type(wanted, REFINERS, "refiner")
        shared = REFINERS[wanted["type"]].shared_parts(head, options)
        refiner = build(wanted, REFINERS, "refiner", **shared).to(device).to_precision(precision)
    clip = build_clip(**backbone, device=device, precision=precision)
    return Pipeline(
        clip,
        head.to(device).to_precision(precision),
        refiner=refiner,
        templates=spec.get("templates", "imagenet80"),
        settings=settings.fit_patch(clip.patch_size, strict=strict),
        cache_dir=cache_dir,
    )


def _check_image(image: Tensor) -> None:
    """Refuse what is no image in [0, 1]."""
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
            expected="RGB from 0 to 1, not normalized",
        )
