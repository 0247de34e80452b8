"""The lists of class names that come with label maps (`labels.txt`), compared with our own."""

from __future__ import annotations

import re
from pathlib import Path

from ovseg.datasets.coco import RAW_TO_TRAIN
from ovseg.datasets.table import Benchmark
from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["name_list_contradiction"]

_LINE = re.compile(r"\s*(\d+)\s*:\s*(.*\S)")


def name_list_contradiction(benchmark: Benchmark, root: Path) -> str | None:
    """Say where `labels.txt` numbers the classes otherwise than the conversion takes for granted.

    COCO-Stuff and Pascal Context have such a list, a line `number: name` a class.

    Args:
        benchmark: which one.
        root: its folder.

    Returns:
        A sentence, or None: the list agrees, or there is none.
    """
    path, ours = root / "labels.txt", _numbered(benchmark)
    if not ours or not path.is_file():
        return None
    number_of = {name: number for number, name in ours.items()}
    lines = path.read_text("utf-8", errors="replace").splitlines()
    listed = [(int(m[1]), m[2].lower()) for line in lines if (m := _LINE.fullmatch(line.rstrip()))]
    moved = [(number, name) for number, name in listed if number_of.get(name, number) != number]
    if not moved:
        return None
    number, name = moved[0]
    return (
        f"{path.name} numbers {len(moved)} classes otherwise than this release does: "
        f"{name!r} is {number}, expected {number_of[name]}; label maps of another release would be "
        "converted to permuted classes"
    )


def _numbered(benchmark: Benchmark) -> dict[int, str]:
    """Number to name, as the release's own label maps count."""
    if benchmark.root == "coco_stuff164k":
        names = Vocabulary.builtin("coco_stuff164k").classes
        return {raw + 1: names[train] for raw, train in RAW_TO_TRAIN.items()}
    if benchmark.root == "VOCdevkit/VOC2010":
        return dict(enumerate(Vocabulary.builtin("context459").classes, start=1))
    return {}
