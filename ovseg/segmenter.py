"""The model as people use it: load once, then segment any image by any words."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ovseg.errors import CheckpointError
from ovseg.registry import HEADS
from ovseg.utils.devices import choose_device, choose_precision
from ovseg.zoo import MODELS, Weights, model_entry
from ovseg.zoo.config_files import SUFFIXES, foreign_program, read_model_spec
from ovseg.zoo.refiners import refiner_spec, refiner_weights

if TYPE_CHECKING:
    from ovseg.heads.base import Head
    from ovseg.images import ImageSource, ReadOptions
    from ovseg.pipeline import Pipeline
    from ovseg.prompts.vocabulary import Vocabulary
    from ovseg.segmentation import Segmentation

__all__ = [
    "Segmenter",
    "choose_vocabulary",
    "head_class",
    "load",
    "model_spec",
    "route_weights",
]


class Segmenter:
    """A loaded model, ready for any vocabulary; made by `load`.

    Attributes:
        name: the model's name, or the path of its configuration.
        device: where it runs, for example "cuda:0".
        precision: "fp32", "bf16" or "fp16".
        pipeline: the inference path itself, plain torch.
    """

    def __init__(self, pipeline: Pipeline, *, name: str, device: str, precision: str) -> None:
        self.pipeline = pipeline
        self.name = name
        self.device = device
        self.precision = precision

    def __repr__(self) -> str:
        return f"Segmenter({self.name!r}, device={self.device!r}, precision={self.precision!r})"

    @overload
    def segment(
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
        image: list[ImageSource] | tuple[ImageSource, ...],
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
        if isinstance(image, (list, tuple)):
            return [self._segment(one, vocabulary, options, palette) for one in image]
        return self._segment(image, vocabulary, options, palette)

    def vocabulary(
        self, class_names: str | Sequence[str] | Vocabulary, background: str = "none"
    ) -> Vocabulary:
        """Return the vocabulary that `segment` uses for these arguments.

        Raises:
            PromptError: the classes cannot be used.
        """
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
        from ovseg.images import ReadOptions, read_image
        from ovseg.segmentation import Segmentation

        image = read_image(source, options or ReadOptions())
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
    device = choose_device(device)
    precision = choose_precision(precision, device)
    note = foreign_program(name_or_config)
    if note is not None and not trust_python_config:
        warnings.warn(f"{note} (trust_python_config=True says that you do)", stacklevel=2)
    spec = model_spec(name_or_config, checkpoint, refine=refine, test_cfg=test_cfg)
    from ovseg.pipeline import build_pipeline, usable_precision

    precision = usable_precision(precision, device)
    name = str(name_or_config)
    try:
        pipeline = build_pipeline(spec, device=device, precision=precision, strict=strict)
    except CheckpointError as error:
        if name in MODELS and checkpoint is None:
            weights = (*model_entry(name).weights, *refiner_weights(spec.get("refiner")))
            raise _with_source(error, weights) from error
        raise
    return Segmenter(pipeline, name=name, device=device, precision=precision)


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

    vocabulary = Vocabulary.parse(class_names, merge_duplicates=merge_duplicates)
    if background == "none" and threshold > 0:
        background = "auto"
    return vocabulary.with_background(background)


def model_spec(
    name_or_config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    refine: str | None = None,
    test_cfg: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the plain data a model is built from, with the caller's changes; see `load`.

    Raises:
        ConfigError: an unknown name, an unreadable configuration or an unknown refiner.
        CheckpointError: the checkpoint is no file.
    """
    name = os.fspath(name_or_config)
    if name in MODELS or not _looks_like_path(name):
        spec = model_entry(name).fresh_spec()
    else:
        spec = deepcopy(read_model_spec(name))
    if checkpoint is not None:
        path = Path(checkpoint)
        if not path.is_file():
            raise CheckpointError("no such file of weights", where=path, fix="check the path")
        route_weights(spec, path)
    if refine is not None:
        spec["refiner"] = refiner_spec(refine, spec)
    spec["test_cfg"] = {**(spec.get("test_cfg") or {}), **(test_cfg or {})}
    return spec


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
    """Return the class of a model's head; where that is none of ovseg's, what all have in common.

    Args:
        spec: the plain data the model is built from.
    """
    from ovseg.heads.base import Head

    head = spec.get("decode_head")
    kind = str(head.get("type")) if isinstance(head, Mapping) else ""
    return HEADS.get(kind.rpartition(".")[2], Head)


def _looks_like_path(name: str) -> bool:
    return name.endswith(SUFFIXES) or os.sep in name or Path(name).is_file()


def _with_source(error: CheckpointError, weights: Sequence[Weights]) -> CheckpointError:
    """Add to an error about absent weights what they are and where they come from."""
    absent = [w for w in weights if w.path() is None]
    if not absent:
        return error
    sources = ", ".join(
        f"{w.name} ({w.size}, {w.license} license) from {w.source()}" for w in absent
    )
    fix = f"{error.fix or 'fetch the file'}; a file elsewhere is given with --checkpoint FILE"
    return CheckpointError(error.what, where=error.where, expected=sources, fix=fix)
