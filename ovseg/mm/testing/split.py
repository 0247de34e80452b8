"""Which images a test counts, and whether they make up a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ovseg.datasets import BENCHMARKS, Benchmark
from ovseg.datasets.pairs import FilePairs, find_pairs, require_root
from ovseg.errors import ConfigError
from ovseg.mm.data.scenes import SceneDataset
from ovseg.scenes.score import EVALUATION_SEEDS

__all__ = ["Split", "open_split"]

_SCENE_SIZE = (224, 224)


@dataclass(frozen=True)
class Split:
    """The images of a test.

    Attributes:
        name: short name of the benchmark or the type of the data set.
        title: as papers write it.
        images: how many are counted.
        expected: how many there should be; several where several lists are in circulation.
        complete: they are the benchmark's, all and with its label rule.
        missing: how many were left out because a file is missing.
        classes: names of the classes.
        image_root: folder of the images.
    """

    name: str
    title: str
    images: int
    expected: tuple[int, ...]
    complete: bool
    missing: int
    classes: tuple[str, ...]
    image_root: str | None

    @property
    def display_name(self) -> str:
        """What a result may be called: the benchmark's title for the whole split only."""
        if self.complete:
            return self.title
        whole = " or ".join(str(count) for count in self.expected)
        return f"partial: {self.images} images of {self.title}, which has {whole}"


def open_split(
    settings: dict[str, Any], *, limit: int | None = None, allow_missing: bool = False
) -> Split:
    """Open the data set of a test and say what it is.

    Args:
        settings: the data set's part of a configuration; changed so that it holds the images
            that are to be counted.
        limit: take only so many, the first ones.
        allow_missing: leave out images without label maps in place of refusing them.

    Raises:
        ConfigError: a limit below 1, or settings that the data set does not know.
        DatasetError: files are missing.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"{limit} images", where="--limit", expected="1 or more")
    kind = DATASETS.get(settings["type"])
    require_root(getattr(kind, "__name__", ""), settings.get("data_root"))
    own_check = kind is not None and hasattr(kind, "BENCHMARK")
    if allow_missing and own_check:
        settings["allow_missing"] = True
    dataset = DATASETS.build(dict(settings))
    missing = int(dataset.metainfo.get("missing", 0))
    whole = len(dataset) + missing
    if not own_check:
        pairs = _pairs(dataset)
        if pairs is not None:
            pairs.require(_root(dataset), allow_missing=allow_missing)
            missing, whole = pairs.missing, len(dataset)
            settings["indices"] = _complete(dataset) if missing else settings.get("indices")
    kept = settings.get("indices")
    if limit is not None:
        settings["indices"] = kept[:limit] if isinstance(kept, list) else limit
        kept = settings["indices"]
    count = len(kept) if isinstance(kept, list) else min(kept or len(dataset), len(dataset))
    return _describe(dataset, kind, count, missing, whole)


def _root(dataset: BaseSegDataset) -> str | None:
    return getattr(dataset, "data_root", None) or dataset.data_prefix.get("img_path")


def _pairs(dataset: BaseSegDataset) -> FilePairs | None:
    """Match the files of a data set of mmseg's kind; None where it does not read folders."""
    prefix = getattr(dataset, "data_prefix", None) or {}
    images, labels = (Path(prefix.get(key) or "") for key in ("img_path", "seg_map_path"))
    if isinstance(dataset, SceneDataset) or not (images.is_dir() and labels.is_dir()):
        return None
    split = Path(dataset.ann_file) if getattr(dataset, "ann_file", "") else None
    suffixes = (dataset.img_suffix, dataset.seg_map_suffix)
    return find_pairs(images, labels, suffixes, split if split and split.is_file() else None)


def _complete(dataset: BaseSegDataset) -> list[int]:
    """Indices of the items whose two files are there."""
    items = (dataset.get_data_info(index) for index in range(len(dataset)))
    keys = ("img_path", "seg_map_path")
    return [i for i, item in enumerate(items) if all(Path(item[key]).is_file() for key in keys)]


def _describe(
    dataset: BaseSegDataset, kind: type | None, count: int, missing: int, whole: int
) -> Split:
    facts: Mapping[str, Any] = {
        "images": count,
        "missing": missing,
        "classes": tuple(dataset.metainfo["classes"]),
        "image_root": (getattr(dataset, "data_prefix", None) or {}).get("img_path"),
    }
    name = getattr(kind, "__name__", "data set")
    row = next((row for row in BENCHMARKS.values() if row.dataset == name), None)
    if row is not None:
        complete = not missing and row.is_complete(count) and _same_rule(dataset, row)
        return Split(row.name, row.title, expected=row.expected, complete=complete, **facts)
    if isinstance(dataset, SceneDataset) and not dataset.data_root:
        size = tuple(dataset.size)
        title = f"drawn scenes, world version {dataset.metainfo['scenes_version']}"
        official = dataset.split == "test" and size == _SCENE_SIZE
        wanted = len(EVALUATION_SEEDS)
        complete = official and count == wanted
        return Split("scenes", title, expected=(wanted,), complete=complete, **facts)
    title = f"{name} {_root(dataset) or ''}".strip()
    return Split(name, title, expected=(whole,), complete=count == whole and not missing, **facts)


def _same_rule(dataset: BaseSegDataset, row: Benchmark) -> bool:
    """Tell whether classes and ids are read as the benchmark has it."""
    classes = len(dataset.metainfo["classes"]) == row.num_classes
    ignore = row.ignore is None or dataset.ignore_index == row.ignore
    return classes and ignore and bool(dataset.reduce_zero_label) == row.reduce_zero
