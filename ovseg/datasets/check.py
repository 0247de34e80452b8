"""Looking into every label map of a benchmark: which ids there are, and what cannot be right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ovseg.datasets.conversion import read_ids
from ovseg.datasets.cross_check import find_mismatches
from ovseg.datasets.id_checks import warn_unusual_ids
from ovseg.datasets.labels import check_ids, check_label_size
from ovseg.datasets.pairs import FilePairs
from ovseg.datasets.prepare import find_items
from ovseg.datasets.table import Benchmark
from ovseg.errors import DatasetError
from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["Findings", "check"]

_SHOWN = 10
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""


@dataclass
class Findings:
    """What the label maps of a benchmark hold.

    Attributes:
        benchmark: which one.
        pairs: its items.
        pixels: (65536) int64, how many pixels have each id, as the files have it.
        seen: ids present in each item.
        faults: sentences about files that cannot be right, one a file.
        problems: sentences about the whole that cannot be right.
        warnings: sentences about the whole that are suspicious.
    """

    benchmark: Benchmark
    pairs: FilePairs
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(65_536, dtype=np.int64))
    seen: dict[str, frozenset[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Nothing is known to be wrong."""
        return not self.faults and not self.problems

    def lines(self) -> list[str]:
        """The histogram, then everything that is wrong or suspicious."""
        lines = [
            f"{self.benchmark.title}: {len(self.pairs.complete)} label maps, "
            f"{int(self.pixels.sum())} pixels",
            *_histogram(self.benchmark, self.pixels, self.seen),
            *(f"wrong: {text}" for text in self.faults[:_SHOWN]),
        ]
        if len(self.faults) > _SHOWN:
            lines.append(f"wrong: {len(self.faults) - _SHOWN} more files")
        lines += [f"wrong: {text}" for text in self.problems]
        lines += [f"suspicious: {text}" for text in self.warnings]
        return lines + (["nothing is known to be wrong"] if self.is_right else [])


def check(benchmark: Benchmark, root: Path, step: Callable[[], None] = lambda: None) -> Findings:
    """Read every label map and the header of every image.

    Args:
        benchmark: which one.
        root: its folder.
        step: called after each item.

    Returns:
        What there is and what is wrong.

    Raises:
        DatasetError: a folder or the list of the split is not there.
    """
    findings = Findings(benchmark, find_items(benchmark, root))
    for name in findings.pairs.complete:
        try:
            _read_item(findings, root, name)
        except DatasetError as error:
            findings.faults.append(str(error))
        step()
    count = len(findings.pairs.complete)
    findings.problems += findings.pairs.problems()
    if not benchmark.is_complete(count):
        official = " or ".join(map(str, benchmark.expected))
        findings.warnings.append(
            f"{count} images, the official split has {official}: results are called partial"
        )
    findings.warnings += warn_unusual_ids(benchmark, findings.pixels)
    findings.problems += find_mismatches(benchmark, root, findings.seen)
    return findings


def _read_item(findings: Findings, root: Path, name: str) -> None:
    """Count one label map; what is wrong with it is raised after counting."""
    row = findings.benchmark
    path = root / row.labels / f"{name}{row.label_suffix}"
    ids = read_ids(path)
    counts = np.bincount(ids.ravel(), minlength=65_536)
    findings.pixels += counts
    findings.seen[name] = frozenset(np.flatnonzero(counts).tolist())
    size = _upright_size(root / row.images / f"{name}{row.image_suffix}")
    check_label_size(ids.shape, size, str(path))
    check_ids(ids, row.highest_id + 1, -1 if row.ignore is None else row.ignore, str(path))


def _upright_size(path: Path) -> tuple[int, int]:
    """(height, width) as the loaders see it: after the rotation that EXIF asks for."""
    try:
        with Image.open(path) as file:
            width, height = file.size
            turned = file.getexif().get(0x0112) in _TURNED
    except OSError as error:
        raise DatasetError(
            f"image cannot be read ({error.strerror or error})", where=path
        ) from error
    return (width, height) if turned else (height, width)


def _histogram(
    benchmark: Benchmark, pixels: np.ndarray, seen: dict[str, frozenset[int]]
) -> list[str]:
    """One line an id that occurs: id, class, share of the pixels, number of images."""
    classes = Vocabulary.builtin(benchmark.name).classes
    total = max(int(pixels.sum()), 1)
    images = np.bincount([i for ids in seen.values() for i in ids], minlength=len(pixels))
    lines = ["    id  pixels    images  class"]
    for index in np.flatnonzero(pixels):
        name = _meaning(benchmark, int(index), classes)
        lines.append(f"{index:6d}  {pixels[index] / total:7.3%}  {images[index]:8d}  {name}")
    absent = benchmark.num_classes - sum(
        bool(pixels[k + benchmark.reduce_zero]) for k in range(benchmark.num_classes)
    )
    return [*lines, f"{absent} of {benchmark.num_classes} classes do not occur"]


def _meaning(benchmark: Benchmark, index: int, classes: tuple[str, ...]) -> str:
    if index == benchmark.ignore or (benchmark.reduce_zero and index == 0):
        return "(does not count)"
    index -= benchmark.reduce_zero
    return classes[index] if index < len(classes) else "(OUT OF RANGE)"
