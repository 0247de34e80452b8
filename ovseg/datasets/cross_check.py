"""Comparing label maps with what the data set itself says about its images.

Most releases carry a second account of what is in an image: VOC's `ImageSets/Main/cat_val.txt`,
Cityscapes' polygons, COCO's `instances_val2017.json`, ADE20K's `objectInfo150.txt`, the list of
class names `labels.txt`. Label maps with shifted or permuted ids contradict it. Where there is no
such file nothing can be said.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ovseg.datasets.coco import RAW_TO_TRAIN
from ovseg.datasets.table import Benchmark
from ovseg.errors import DatasetError
from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["find_mismatches", "name_list_contradiction"]

Seen = Mapping[str, frozenset[int]]
"""Ids present in each item's label map."""

_ENOUGH = 0.5
"""Least share of the said classes that must be found; hidden and tiny objects lower it a bit."""


Statement = tuple[str, int]
"""An item is said, by a file, to show a class (an id as label maps have it)."""

_LINE = re.compile(r"\s*(\d+)\s*:\s*(.*\S)\s*")


def find_mismatches(benchmark: Benchmark, root: Path, seen: Seen) -> list[str]:
    """Say where label maps and the data set's other files disagree.

    Args:
        benchmark: which one.
        root: its folder.
        seen: ids present in each item's label map.

    Returns:
        A sentence a file that disagrees.

    Raises:
        DatasetError: such a file cannot be read.
    """
    ids = _ids_by_name(benchmark)
    found = []
    for name, pattern, read in _SOURCES.get(benchmark.root, ()):
        files = sorted(root.glob(pattern))
        if files:
            statements = [s for path in files for s in _read_statements(read, path, ids)]
            found.append(_compare(name, benchmark, statements, seen))
    found.append(name_list_contradiction(benchmark, root))
    if benchmark.name == "ade20k":
        found.append(_compare_counts(root / "objectInfo150.txt", seen))
    return [text for text in found if text]


def _ids_by_name(benchmark: Benchmark) -> dict[str, int]:
    classes = Vocabulary.builtin(benchmark.name).classes
    ids = {name: index + benchmark.reduce_zero for index, name in enumerate(classes)}
    if benchmark.root.endswith("VOC2010") and "table" in ids:
        ids["diningtable"] = ids["table"]
    return ids


def _read_statements(
    read: Callable[..., Iterator[Any]], path: Path, *arguments: Mapping[str, int]
) -> list[Any]:
    try:
        return list(read(path, *arguments))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DatasetError(
            f"cannot be read ({type(error).__name__}: {error})",
            where=path,
            fix="get the file again, or remove it: it is only compared with the label maps",
        ) from error


def _voc_presence(path: Path, ids: Mapping[str, int]) -> Iterator[Statement]:
    """`cat_val.txt`: an image and 1 (shows a cat), 0 (only hard to see) or -1 a line."""
    index = ids.get(path.name.removesuffix("_val.txt"))
    if index is None:
        return
    for line in path.read_text("utf-8").splitlines():
        words = line.split()
        if len(words) == 2 and words[1] == "1":
            yield words[0], index


def _cityscapes_polygons(path: Path, ids: Mapping[str, int]) -> Iterator[Statement]:
    item = f"{path.parent.name}/{path.name.removesuffix('_gtFine_polygons.json')}"
    for entry in json.loads(path.read_text("utf-8"))["objects"]:
        name = entry["label"].removesuffix("group")
        if name in ids:
            yield item, ids[name]


def _coco_instances(path: Path, ids: Mapping[str, int]) -> Iterator[Statement]:
    content = json.loads(path.read_text("utf-8"))
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    files = {entry["id"]: entry["file_name"] for entry in content["images"]}
    for entry in content["annotations"]:
        name = names[entry["category_id"]]
        if name in ids:
            yield files[entry["image_id"]].rsplit(".", 1)[0], ids[name]


_VOC = (("ImageSets/Main", "ImageSets/Main/*_val.txt", _voc_presence),)
_SOURCES = {
    "VOCdevkit/VOC2012": _VOC,
    "VOCdevkit/VOC2010": _VOC,
    "cityscapes": (("the polygons", "gtFine/val/*/*_gtFine_polygons.json", _cityscapes_polygons),),
    "coco_stuff164k": (
        ("instances_val2017.json", "annotations/instances_val2017.json", _coco_instances),
        ("stuff_val2017.json", "annotations/stuff_val2017.json", _coco_instances),
    ),
}


def _compare(
    source: str, benchmark: Benchmark, statements: list[Statement], seen: Seen
) -> str | None:
    known = {(item, index) for item, index in statements if item in seen}
    if not known:
        return None
    share = _share(known, seen, 0)
    if share >= _ENOUGH:
        return None
    classes = Vocabulary.builtin(benchmark.name).classes
    item, index = min((item, index) for item, index in known if index not in seen[item])
    text = (
        f"label maps contradict {source}: only {share:.0%} of the classes that it names in a "
        f"image are in its label map (for example {classes[index - benchmark.reduce_zero]!r}, id "
        f"{index}, in {item})"
    )
    for shift in (1, -1):
        if _share(known, seen, shift) >= max(_ENOUGH, 2 * share):
            return f"{text}; the ids are one too {'high' if shift > 0 else 'low'}"
    return f"{text}; the ids are permuted or belong to another class list"


def _share(known: set[tuple[str, int]], seen: Seen, shift: int) -> float:
    return sum(index + shift in seen[item] for item, index in known) / len(known)


def _compare_counts(path: Path, seen: Seen) -> str | None:
    """Compare with ADE20K's table: its column Val says in how many images a class is."""
    if not path.is_file():
        return None
    expected = dict(_read_statements(_ade_counts, path))
    if not expected or max(expected.values()) > len(seen):
        return None  # only a part of the split is here
    found = Counter(index for ids in seen.values() for index in ids)
    off = sum(abs(found[index] - count) for index, count in expected.items())
    if off <= 0.2 * sum(expected.values()):
        return None
    worst = max(expected, key=lambda index: abs(found[index] - expected[index]))
    return (
        f"label maps contradict {path.name}: id {worst} is in {found[worst]} images where "
        f"it says {expected[worst]}; the ids are shifted or permuted"
    )


def _ade_counts(path: Path) -> Iterator[tuple[int, int]]:
    lines = path.read_text("utf-8").splitlines()
    head = lines[0].split()
    if "Idx" not in head or "Val" not in head:
        return
    index, count = head.index("Idx"), head.index("Val")
    for line in lines[1:]:
        words = line.split("\t") if "\t" in line else line.split()
        if len(words) > count:
            yield int(words[index]), int(words[count])


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
    listed = [(int(m[1]), m[2].lower()) for line in lines if (m := _LINE.fullmatch(line))]
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
