"""Images and their label maps: where they should lie, and which lack the other."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ovseg.datasets.table import BENCHMARKS, Benchmark
from ovseg.errors import ConfigError, DatasetError

__all__ = [
    "FilePairs",
    "check_class_order",
    "find_pairs",
    "list_files",
    "missing_root",
    "read_names",
    "require_root",
]

_SHOWN = 5


@dataclass(frozen=True)
class FilePairs:
    """Items of a split, sorted by name.

    Attributes:
        complete: names of items with an image and a label map.
        no_labels: names of items of which only the image is there.
        no_image: names of items of which only the label map is there.
        absent: names that the split lists and of which neither is there.
        repeated: names that the split lists more than once.
    """

    complete: tuple[str, ...]
    no_labels: tuple[str, ...] = ()
    no_image: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """How many items cannot be used."""
        return len(self.no_labels) + len(self.no_image) + len(self.absent)

    def problems(self) -> list[str]:
        """Say in words what is missing, a sentence a kind."""
        kinds = (
            (self.no_labels, "without a label map"),
            (self.no_image, "without an image"),
            (self.absent, "listed, but neither image nor label map is there"),
            (self.repeated, "listed more than once"),
        )
        return [f"{len(names)} {text}: {_some(names)}" for names, text in kinds if names]

    def require(self, where: object, *, allow_missing: bool = False) -> None:
        """Refuse a split in which an image or a label map lacks the other.

        Args:
            where: the data set's folder, for the message.
            allow_missing: take the complete items, if there are any.

        Raises:
            DatasetError: it lists what is missing, or nothing is there at all.
        """
        if not self.complete:
            raise DatasetError(
                "no image with a label map" + "".join(f"; {p}" for p in self.problems()),
                where=where,
            )
        if self.missing and not allow_missing:
            raise DatasetError(
                "; ".join(self.problems()),
                where=where,
                expected="a label map for every image and the reverse",
                fix="get the missing files, or use --allow-missing (of a data set: "
                "allow_missing=True) to count what is there; the result is then called partial",
            )


def find_pairs(
    images: Path,
    labels: Path,
    suffixes: tuple[str, str],
    split: Path | None = None,
) -> FilePairs:
    """Match images with label maps by name.

    Args:
        images: folder of the images, searched with its subfolders.
        labels: folder of the label maps, likewise.
        suffixes: what the file names of an image and of a label map have after the item's name.
        split: file that lists the names, one a line; None: every image and label map counts.

    Returns:
        What is there and what is not.

    Raises:
        DatasetError: the split is not there or lists nothing.
    """
    have = list_files(images, suffixes[0])
    labeled = list_files(labels, suffixes[1])
    if split is None:
        return FilePairs(
            tuple(sorted(have & labeled)),
            tuple(sorted(have - labeled)),
            tuple(sorted(labeled - have)),
        )
    listed = read_names(split)
    names = set(listed)
    return FilePairs(
        tuple(sorted(names & have & labeled)),
        tuple(sorted(names & have - labeled)),
        tuple(sorted(names & labeled - have)),
        tuple(sorted(names - have - labeled)),
        tuple(sorted(name for name, count in Counter(listed).items() if count > 1)),
    )


def list_files(folder: Path, suffix: str) -> set[str]:
    """Names of the files under a folder that end in `suffix`, without it, with `/` between parts.

    Hidden files are passed over.
    """
    names: set[str] = set()
    for here, _, files in os.walk(folder):
        inside = Path(here).relative_to(folder).as_posix()
        start = "" if inside == "." else f"{inside}/"
        names.update(
            start + file.removesuffix(suffix)
            for file in files
            if file.endswith(suffix) and not file.startswith(".")
        )
    return names


def read_names(path: Path) -> list[str]:
    """Read the names that a split lists, one a line.

    Raises:
        DatasetError: the list is not there, unreadable or empty.
    """
    try:
        # Lists of Pascal VOC may have a second column.
        names = [line.split()[0] for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"the list of the split cannot be read ({getattr(error, 'strerror', None) or error})",
            where=path,
            fix="it comes with the data set, or 'ovseg prepare' writes it",
        ) from error
    if not names:
        raise DatasetError("the list of the split is empty", where=path)
    return names


def require_root(kind: str, root: str | os.PathLike[str] | None) -> None:
    """Refuse a benchmark's data set whose folder is not there; other data sets pass.

    For the types that are mmseg's own (`ADE20KDataset`, `CityscapesDataset`), which would only say
    that a path does not exist.

    Args:
        kind: the data set type.
        root: its `data_root`.

    Raises:
        DatasetError: it says where the files should lie and how they come there.
    """
    row = next((row for row in BENCHMARKS.values() if row.dataset == kind), None)
    if row is not None and root is not None and not Path(root).is_dir():
        raise missing_root(row, root)


def missing_root(benchmark: Benchmark, root: str | os.PathLike[str]) -> DatasetError:
    """Say that a benchmark's folder is not there, and how to come to have it.

    Args:
        benchmark: which one.
        root: the folder that is missing.
    """
    seen = os.environ.get("OVSEG_DATA")
    variable = f"OVSEG_DATA is {seen!r}" if seen else "OVSEG_DATA is not set"
    parents = [str(path) for path in Path(root).parents if path / benchmark.root == Path(root)]
    data = parents[0] if parents else "data"
    return DatasetError(
        f"{benchmark.title} is not here",
        where=root,
        expected=f"its files in {data}/{benchmark.root} (docs/data.md shows the layout)",
        fix=f"put it there and run 'ovseg prepare {benchmark.name} --root {data}'; for another "
        f"place set the variable OVSEG_DATA to the folder that stands for data/ ({variable}), or "
        "name the folder with --cfg-options test_dataloader.dataset.data_root=DIR",
    )


def check_class_order(
    classes: Sequence[str], vocabulary: Sequence[str], where: object = None
) -> None:
    """Refuse a vocabulary whose labels stand in another order than the data set's classes.

    Two orders of some benchmarks' classes are in circulation; the wrong one gives a score near
    zero without any other sign. Names are compared without regard to case and outer blanks; a
    label that the data set does not know passes.

    Args:
        classes: (K) class names of the data set, in the order of its ids.
        vocabulary: (K) labels of the vocabulary.
        where: what to name in the message.

    Raises:
        ConfigError: another number of classes, or labels in the places of other classes.

    Example:
        >>> check_class_order(["cat", "dog"], ["Cat", "dog"])
    """
    if len(classes) != len(vocabulary):
        raise ConfigError(
            f"the vocabulary has {len(vocabulary)} classes, the data set {len(classes)}",
            where=where,
            fix="choose the vocabulary of this data set",
        )
    names = [_plain_name(name) for name in classes]
    place = {name: index for index, name in enumerate(names)}
    moved = [
        f"{index} is {label!r} instead of {classes[index]!r}"
        for index, label in enumerate(vocabulary)
        if place.get(_plain_name(label), index) != index
    ]
    if moved:
        raise ConfigError(
            f"{len(moved)} of {len(classes)} classes stand in another order than in the data set: "
            f"{_some(moved)}",
            where=where,
            expected="the order of the data set's ids",
            fix="choose the vocabulary of this data set, or sort yours as its classes are",
        )


def _plain_name(name: str) -> str:
    return " ".join(name.lower().split())


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
