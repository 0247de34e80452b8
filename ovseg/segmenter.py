"""The model as people use it: load once, then segment any image by any words."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ovseg.errors import CheckpointError
from ovseg.registry import HEADS
from ovseg.utils.devices import choose_device, choose_precision
from ovseg.zoo import MODELS, Weights, model_entry
from ovseg.zoo.config_files import SUFFIXES, foreign_program, read_model_spec
from ovseg.zoo.entry import with_sources
from ovseg.zoo.refiners import refiner_spec, refiner_weights

if TYPE_CHECKING:
    from ovseg.heads.base import Head
    from ovseg.images import ImageSource, ReadOptions
    from ovseg.pipeline import Pipeline
    from ovseg.prompts.vocabulary import Vocabulary
    from ovseg.segmentation import Segmentation

__all__ = [
    "ResolvedModel",
    "Segmenter",
    "choose_vocabulary",
    "head_class",
    "load",
    "load_resolved",
    "route_weights",
    "resolve",
]


@dataclass(frozen=True)
class ResolvedModel:
    """What a request for a model comes to, all of it checked and chosen; made by `resolve`.

    Attributes:
        name: the model's name, or the path of its configuration.
        spec: the plain data that it is built from.
        device: where it runs, for example "cuda:0".
        precision: "fp32", "bf16" or "fp16", one that the device can do.
        weights: the published files that it needs, where it is one of the zoo's.
        strict: refuse settings that would otherwise be mended with a warning.
    """

    name: str
    spec: Mapping[str, Any]
    device: str
    precision: str
    weights: tuple[Weights, ...] = ()
    strict: bool = False

    @property
    def threshold(self) -> float:
        """Pixels whose best probability is below this become background; 0 for none."""
        return self.spec["test_cfg"].get("threshold") or 0.0


class Segmenter:
    """A loaded model, ready for any vocabulary; made by `load`.

    It may be used by several threads at a time. Pickled, it is its request: the other process
    loads the model anew, from the same files.

    Attributes:
        pipeline: the inference path itself, plain torch.
        resolved: what it was built from.
        name: the model's name, or the path of its configuration.
        device: where it runs, for example "cuda:0".
        precision: "fp32", "bf16" or "fp16".
    """

    def __init__(self, pipeline: Pipeline, resolved: ResolvedModel) -> None:
        self.pipeline = pipeline
        self.resolved = resolved
        self.name = resolved.name
        self.device = resolved.device
        self.precision = resolved.precision
        self._vocabulary_of_names = lru_cache(maxsize=8)(choose_vocabulary)

    def __repr__(self) -> str:
        return f"Segmenter({self.name!r}, device={self.device!r}, precision={self.precision!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A head or refiner from outside the package registers when its module is imported.
        parts = (self.pipeline.head, self.pipeline.refiner)
        modules = tuple(type(part).__module__ for part in parts if part is not None)
        return _load_again, (self.resolved, modules)

    @overload
    def segment(  # type: ignore[overload-overlap]  # a text is one path
        self,
        image: ImageSource,
        class_names: str | Sequence[str] | Vocabulary,
        *,
        background: str = ...,
        options: ReadOptions | None = ...,
        palette: Sequence[tuple[int, int, int]] | None = ...,
    ) -> Segmentation: ...

    @overload
    def segment(
        self,
        image: Sequence[ImageSource],
        class_names: str | Sequence[str] | Vocabulary,
        *,
        background: str = ...,
        options: ReadOptions | None = ...,
        palette: Sequence[tuple[int, int, int]] | None = ...,
    ) -> list[Segmentation]: ...

    def segment(
        self,
        image: Any,
        class_names: str | Sequence[str] | Vocabulary,
        *,
        background: str = "none",
        options: ReadOptions | None = None,
        palette: Sequence[tuple[int, int, int]] | None = None,
    ) -> Segmentation | list[Segmentation]:
        """Label every pixel of an image, or of each image of a list.

        Args:
            image: path, PIL image or (H, W, 3) uint8 RGB array; a list gives a list.
            class_names: names such as `["sky", "house; home"]` (`;` between synonyms), one text
                `"sky, house; home"`, a file, a built-in list such as `"ade20k"`, or a
                `Vocabulary`.
            background: "none", "auto" (adds a class of generic surroundings) or names that make
                up the background, such as `"wall; floor"`. A model with a threshold needs a
                background class, so then "none" means "auto".
            options: how images are read.
            palette: an RGB color a class for drawings.

        Returns:
            A `Segmentation` with labels of the upright image's size.

        Raises:
            InputError: the image cannot be used.
            PromptError: the classes cannot be used.
            RuntimeLimitError: memory is not enough.
        """
        vocabulary = self.vocabulary(class_names, background)
        if isinstance(image, Sequence) and not isinstance(image, (str, bytes, memoryview)):
            return [self._segment(one, vocabulary, options, palette) for one in image]
        return self._segment(image, vocabulary, options, palette)

    def vocabulary(
        self, class_names: str | Sequence[str] | Vocabulary, background: str = "none"
    ) -> Vocabulary:
        """Return the vocabulary that `segment` uses for these arguments.

        Raises:
            PromptError: the classes cannot be used.
        """
        if isinstance(class_names, (list, tuple)) and all(
            isinstance(name, str) for name in class_names
        ):
            names = tuple(class_names)
            return self._vocabulary_of_names(names, background, threshold=self.threshold)
        return choose_vocabulary(class_names, background, threshold=self.threshold)

    def prepare(
        self,
        vocabulary: Vocabulary,
        *,
        strict: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Encode the words ahead of the first image; later use finds them ready.

        Args:
            vocabulary: the words.
            strict: refuse words that are too long for the text encoder instead of cutting them.
            progress: called with the number of words done and of all.

        Raises:
            PromptError: words that cannot be encoded.
        """
        self.pipeline.bank.encode(vocabulary.prompts, strict=strict, progress=progress)
        self.pipeline.text_embeddings(vocabulary)

    @property
    def threshold(self) -> float:
        """Pixels whose best probability is below this become background; 0 for none."""
        return self.pipeline.settings.threshold

    def protocol(self) -> dict[str, Any]:
        """Return every setting that moves the result, with the hash of the weights."""
        return self.pipeline.protocol()

    def _segment(
        self,
        source: Any,
        vocabulary: Vocabulary,
        options: ReadOptions | None,
        palette: Sequence[tuple[int, int, int]] | None,
    ) -> Segmentation:
        from ovseg.images import read_image
        from ovseg.segmentation import Segmentation

        image = read_image(source, options)
        decoded = self.pipeline(image.pixels, vocabulary)
        return Segmentation(
            labels=decoded.labels,
            classes=vocabulary.classes,
            scores=decoded.scores,
            image=image.pixels,
            palette=None if palette is None else tuple(palette),
            source=image.source,
            notes=image.notes,
        )


def load(
    name_or_config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    refine: str | None = None,
    *,
    test_cfg: Mapping[str, Any] | None = None,
    strict: bool = False,
    trust_python_config: bool = False,
) -> Segmenter:
    """Load a model.

    Args:
        name_or_config: a name from `ovseg.list_models()`, or a configuration file: `.json` or
            `.yaml` data, or an mmseg `.py` configuration. Reading a `.py` file runs it, so take
            them only from people you trust; one from outside the package brings a warning.
        checkpoint: a local file of weights to use in place of the model's own: CLIP's, or those of
            a head that has weights of its own (CLIP-DINOiser, mask-adapted CLIP). The names inside
            the file tell.
        device: "auto" (the best there is), "cpu", "cuda", "cuda:1" or "mps".
        precision: "auto" (fp32 on CPU, bf16 on GPU), "fp32", "bf16" or "fp16".
        refine: "pamr" sharpens the borders by the image's colors, "sam" asks SAM for the outline
            of every region, "none" does nothing; None leaves it to the model.
        test_cfg: test settings to change, for example `{"threshold": 0.3}`.
        strict: refuse settings that would otherwise be mended with a warning.
        trust_python_config: the `.py` configuration is from people you trust; no warning.

    Returns:
        A `Segmenter` that takes any vocabulary.

    Raises:
        ConfigError: an unknown name, device or setting; raised before any weights are read.
        CheckpointError: the weights are not there, damaged or of another model.
    """
    return load_resolved(
        resolve(
            name_or_config,
            checkpoint,
            device,
            precision,
            refine,
            test_cfg=test_cfg,
            strict=strict,
            trust_python_config=trust_python_config,
        )
    )


def resolve(
    name_or_config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    refine: str | None = None,
    *,
    test_cfg: Mapping[str, Any] | None = None,
    strict: bool = False,
    trust_python_config: bool = False,
) -> ResolvedModel:
    """Check a request for a model and settle all that it leaves open; no weights are read.

    Arguments and errors are those of `load`. Of a checkpoint the names are looked at, where they
    tell what it is for.
    """
    name = os.fspath(name_or_config)
    # What is cheap comes first: looking for devices imports torch.
    is_path = name.endswith(SUFFIXES) or os.sep in name or Path(name).is_file()
    known = model_entry(name) if name in MODELS or not is_path else None
    device = choose_device(device)
    precision = choose_precision(precision, device)
    if known is not None:
        spec = deepcopy(dict(known.spec))
    else:
        note = foreign_program(name)
        if note is not None and not trust_python_config:
            warnings.warn(f"{note} (trust_python_config=True says that you do)", stacklevel=3)
        spec = read_model_spec(name)
    if checkpoint is not None:
        path = Path(checkpoint)
        if not path.is_file():
            raise CheckpointError("no such file of weights", where=path, fix="check the path")
        route_weights(spec, path)
    if refine is not None:
        spec["refiner"] = refiner_spec(refine, spec)
    spec["test_cfg"] = {**(spec.get("test_cfg") or {}), **(test_cfg or {})}
    weights: tuple[Weights, ...] = ()
    if known is not None and checkpoint is None:
        refiner = spec.get("refiner")
        weights = known.weights + (refiner_weights(refiner) if refiner else ())
    return ResolvedModel(name, spec, device, precision, weights, strict)


def load_resolved(resolved: ResolvedModel) -> Segmenter:
    """Load a model as `resolve` has settled it.

    Raises:
        ConfigError: a setting that does not fit the model.
        CheckpointError: the weights are not there, damaged or of another model.
    """
    from ovseg.pipeline import build_pipeline
    from ovseg.weights.read import reading_once

    try:
        with reading_once():
            pipeline = build_pipeline(
                resolved.spec,
                device=resolved.device,
                precision=resolved.precision,
                strict=resolved.strict,
            )
    except CheckpointError as error:
        if any(each.path() is None for each in resolved.weights):
            raise with_sources(error, resolved.weights) from error
        raise
    return Segmenter(pipeline, resolved)


def _load_again(resolved: ResolvedModel, modules: Sequence[str]) -> Segmenter:
    """Load a model in another process, where what it is made of may not be registered yet."""
    for module in modules:
        import_module(module)
    return load_resolved(resolved)


def choose_vocabulary(
    class_names: str | Sequence[str] | Vocabulary,
    background: str = "none",
    *,
    threshold: float = 0.0,
    merge_duplicates: bool = False,
) -> Vocabulary:
    """Return the vocabulary for what a caller gave, with its background class.

    Args:
        class_names: as for `Segmenter.segment`.
        background: "none", "auto" or names. Doubtful pixels need a class to go to, so with a
            threshold "none" means "auto".
        threshold: the model's threshold.
        merge_duplicates: merge classes of the same name instead of refusing them.

    Raises:
        PromptError: the classes cannot be used.
    """
    from ovseg.prompts.vocabulary import Vocabulary

    if isinstance(class_names, Vocabulary):
        vocabulary = class_names
    else:
        vocabulary = Vocabulary.parse(class_names, merge_duplicates=merge_duplicates)
    if background == "none" and threshold > 0:
        background = "auto"
    return vocabulary.with_background(background)


def route_weights(spec: dict[str, Any], path: Path) -> None:
    """Name a file of weights in the part that it is for, as the head tells.

    Args:
        spec: the plain data a model is built from; changed in place.
        path: the file.

    Raises:
        CheckpointError: it cannot be read.
    """
    head_class(spec).route_weights(spec, path)


def head_class(spec: Mapping[str, Any]) -> type[Head]:
    """Return the class of the head in a model's plain data; `Head` where it is none of ovseg's."""
    from ovseg.heads.base import Head

    head = spec.get("decode_head")
    kind = str(head.get("type")) if isinstance(head, Mapping) else ""
    return HEADS.get(kind.rpartition(".")[2], Head)
