"""Preparing a benchmark: check what is there, convert what needs it, write down what there is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovseg.datasets import ade847, cityscapes, coco, context, voc_aug
from ovseg.datasets.conversion import Job, pending, run_jobs
from ovseg.datasets.cross_check import name_list_contradiction
from ovseg.datasets.pairs import FilePairs, find_pairs, missing_root
from ovseg.datasets.table import Benchmark
from ovseg.errors import DatasetError
from ovseg.utils.files import write_atomic
from ovseg.utils.progress import Progress

__all__ = ["Prepared", "manifest_path", "prepare"]

RULES = 1
"""Goes up when a conversion gives other files than before: they are then made again."""


@dataclass(frozen=True)
class _Recipe:
    jobs: Callable[..., list[Job]]
    lists: Callable[[Path], int] = lambda root: 0


_RECIPES = {
    "ade847": _Recipe(ade847.jobs),
    "coco_stuff164k": _Recipe(coco.stuff_jobs),
    "coco_object": _Recipe(coco.object_jobs),
    "cityscapes": _Recipe(cityscapes.jobs),
    "context59": _Recipe(context.jobs_59, context.write_lists),
    "context60": _Recipe(context.jobs_59, context.write_lists),
    "context459": _Recipe(context.jobs_459, context.write_lists),
    "voc20": _Recipe(voc_aug.jobs, voc_aug.write_lists),
    "voc21": _Recipe(voc_aug.jobs, voc_aug.write_lists),
}
_AS_IT_COMES = _Recipe(lambda root, train: [])


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did and found.

    Attributes:
        benchmark: which one.
        root: its folder.
        pairs: its items.
        made: how many files were written, lists included.
        kept: how many were there already.
        manifest: where it is written down.
    """

    benchmark: Benchmark
    root: Path
    pairs: FilePairs
    made: int
    kept: int
    manifest: Path

    def lines(self) -> list[str]:
        """Say in words what is there."""
        count, official = len(self.pairs.complete), " or ".join(map(str, self.benchmark.expected))
        made = f"{self.made} files made, {self.kept} were there already"
        lines = [f"{self.benchmark.title}: {count} images with label maps in {self.root}; {made}"]
        if not self.benchmark.is_complete(count):
            lines.append(
                f"the official split has {official} images: a result on these is called partial"
            )
        return lines + self.pairs.problems()


def prepare(
    benchmark: Benchmark,
    data: str | Path,
    *,
    train: bool = False,
    allow_missing: bool = False,
) -> Prepared:
    """Bring a benchmark's files into the form that its data set reads.

    A second run finds everything made and writes nothing. Shows a progress bar on a terminal.

    Args:
        benchmark: which one.
        data: the folder that stands for `data/`.
        train: convert the training labels too, and write the lists of VOC's extended training
            set.
        allow_missing: accept images without label maps and the reverse.

    Returns:
        What was done and what is there.

    Raises:
        DatasetError: the files are not there, cannot be converted or do not match.
        RuntimeLimitError: the disk is full.
    """
    root = Path(data) / benchmark.root
    if not root.is_dir():
        raise missing_root(benchmark, root)
    wrong_names = name_list_contradiction(benchmark, root)
    if wrong_names:
        raise DatasetError(wrong_names, where=root)
    recipe = _RECIPES.get(benchmark.name, _AS_IT_COMES)
    made = recipe.lists(root)
    jobs = recipe.jobs(root, train=train)
    todo = jobs if _made_by_other_rules(benchmark, root) else pending(jobs)
    made += _run(benchmark, root, todo)
    pairs = find_items(benchmark, root)
    pairs.require(root, allow_missing=allow_missing)
    result = Prepared(
        benchmark, root, pairs, made, len(jobs) - len(todo), manifest_path(benchmark, root)
    )
    _write_manifest(result)
    return result


def find_items(benchmark: Benchmark, root: Path) -> FilePairs:
    """Match the images and label maps of a benchmark's folder.

    Raises:
        DatasetError: a folder or the list of the split is not there.
    """
    for folder in (benchmark.images, benchmark.labels):
        if not (root / folder).is_dir():
            raise missing_root(benchmark, root / folder)
    return find_pairs(
        root / benchmark.images,
        root / benchmark.labels,
        (benchmark.image_suffix, benchmark.label_suffix),
        root / benchmark.split if benchmark.split else None,
    )


def manifest_path(benchmark: Benchmark, root: Path) -> Path:
    """Where `prepare` writes down what there is."""
    return root / f"ovseg_{benchmark.name}.json"


def _made_by_other_rules(benchmark: Benchmark, root: Path) -> bool:
    path = manifest_path(benchmark, root)
    try:
        return json.loads(path.read_text("utf-8")).get("rules", RULES) != RULES
    except (OSError, ValueError, AttributeError):
        return False


def _run(benchmark: Benchmark, root: Path, todo: list[Job]) -> int:
    if not todo:
        return 0
    with Progress(len(todo), unit="file", rest="further failures are not shown") as bar:
        made, failures = run_jobs(todo, bar.step, bar.fail)
    if failures:
        raise DatasetError(
            f"{failures} of {len(todo)} files of {benchmark.title} could not be made",
            where=root,
            fix="the reasons stand above; get these files again, then give the same command: what "
            f"is made ({made}) stays",
        )
    return made


def _write_manifest(result: Prepared) -> None:
    benchmark, pairs = result.benchmark, result.pairs
    names = "".join(f"{name}\n" for name in pairs.complete)
    content: dict[str, Any] = {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "rules": RULES,
        "images": len(pairs.complete),
        "official": list(benchmark.expected),
        "partial": not benchmark.is_complete(len(pairs.complete)),
        "names_sha256": hashlib.sha256(names.encode()).hexdigest(),
        "without_label_map": list(pairs.no_labels),
        "without_image": list(pairs.no_image),
        "absent": list(pairs.absent),
    }
    data = (json.dumps(content, indent=2) + "\n").encode()
    if not (result.manifest.is_file() and result.manifest.read_bytes() == data):
        write_atomic(result.manifest, data)
