"""Comparing label maps with what the data set itself says about its pictures.

Most releases carry a second account of what is in a picture: VOC's `ImageSets/Main/cat_val.txt`,
Cityscapes' polygons, COCO's `instances_val2017.json`, ADE20K's `objectInfo150.txt`. Label maps with
shifted or permuted ids contradict it. Where there is no such file nothing can be said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ovseg.datasets.name_lists import name_list_contradiction
from ovseg.datasets.table import Benchmark
from ovseg.errors import DatasetError
from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["contradictions"]

Seen = Mapping[str, frozenset[int]]
"""Ids present in each item's label map."""

_ENOUGH = 0.5
"""Least share of the said classes that must be found; hidden and tiny objects lower it a bit."""


@dataclass(frozen=True)
class _Statement:
    """An item is said, by a file, to show a class (an id as label maps have it)."""

    item: str
    index: int


def contradictions(benchmark: Benchmark, root: Path, seen: Seen) -> list[str]:
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
            statements = [s for path in files for s in _read(read, path, ids)]
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


def _read(
    read: Callable[[Path, Mapping[str, int]], Iterator[_Statement]],
    path: Path,
    ids: Mapping[str, int],
) -> list[_Statement]:
    try:
        return list(read(path, ids))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DatasetError(
            f"cannot be read ({type(error).__name__}: {error})",
            where=path,
            fix="get the file again, or remove it: it is only compared with the label maps",
        ) from error


def _voc_presence(path: Path, ids: Mapping[str, int]) -> Iterator[_Statement]:
    """`cat_val.txt`: a picture and 1 (shows a cat), 0 (only hard to see) or -1 a line."""
    index = ids.get(path.name.removesuffix("_val.txt"))
    if index is None:
        return
    for line in path.read_text("utf-8").splitlines():
        words = line.split()
        if len(words) == 2 and words[1] == "1":
            yield _Statement(words[0], index)


def _cityscapes_polygons(path: Path, ids: Mapping[str, int]) -> Iterator[_Statement]:
    item = f"{path.parent.name}/{path.name.removesuffix('_gtFine_polygons.json')}"
    for entry in json.loads(path.read_text("utf-8"))["objects"]:
        name = entry["label"].removesuffix("group")
        if name in ids:
            yield _Statement(item, ids[name])


def _coco_instances(path: Path, ids: Mapping[str, int]) -> Iterator[_Statement]:
    content = json.loads(path.read_text("utf-8"))
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    files = {entry["id"]: entry["file_name"] for entry in content["images"]}
    for entry in content["annotations"]:
        name = names[entry["category_id"]]
        if name in ids:
            yield _Statement(files[entry["image_id"]].rsplit(".", 1)[0], ids[name])


_SOURCES = {
    "VOCdevkit/VOC2012": (("ImageSets/Main", "ImageSets/Main/*_val.txt", _voc_presence),),
    "VOCdevkit/VOC2010": (("ImageSets/Main", "ImageSets/Main/*_val.txt", _voc_presence),),
    "cityscapes": (("the polygons", "gtFine/val/*/*_gtFine_polygons.json", _cityscapes_polygons),),
    "coco_stuff164k": (
        ("instances_val2017.json", "annotations/instances_val2017.json", _coco_instances),
        ("stuff_val2017.json", "annotations/stuff_val2017.json", _coco_instances),
    ),
}


def _compare(
    source: str, benchmark: Benchmark, statements: list[_Statement], seen: Seen
) -> str | None:
    known = {(s.item, s.index) for s in statements if s.item in seen}
    if not known:
        return None
    share = _share(known, seen, 0)
    if share >= _ENOUGH:
        return None
    classes = Vocabulary.builtin(benchmark.name).classes
    item, index = min((item, index) for item, index in known if index not in seen[item])
    text = (
        f"label maps contradict {source}: only {share:.0%} of the classes that it names in a "
        f"picture are in its label map (for example {classes[index - benchmark.reduce_zero]!r}, id "
        f"{index}, in {item})"
    )
    for shift in (1, -1):
        if _share(known, seen, shift) >= max(_ENOUGH, 2 * share):
            return f"{text}; the ids are one too {'high' if shift > 0 else 'low'}"
    return f"{text}; the ids are permuted or belong to another class list"


def _share(known: set[tuple[str, int]], seen: Seen, shift: int) -> float:
    return sum(index + shift in seen[item] for item, index in known) / len(known)


def _compare_counts(path: Path, seen: Seen) -> str | None:
    """Compare with ADE20K's table: its column Val says in how many pictures a class is."""
    if not path.is_file():
        return None
    expected = dict(_read(_ade_counts, path, {}))
    if not expected or max(expected.values()) > len(seen):
        return None  # only a part of the split is here
    found = dict.fromkeys(expected, 0)
    for ids in seen.values():
        for index in ids & expected.keys():
            found[index] += 1
    off = sum(abs(found[index] - count) for index, count in expected.items())
    if off <= 0.2 * sum(expected.values()):
        return None
    worst = max(expected, key=lambda index: abs(found[index] - expected[index]))
    return (
        f"label maps contradict {path.name}: id {worst} is in {found[worst]} pictures where "
        f"it says {expected[worst]}; the ids are shifted or permuted"
    )


def _ade_counts(path: Path, _: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    lines = path.read_text("utf-8").splitlines()
    head = lines[0].split()
    if "Idx" not in head or "Val" not in head:
        return
    index, count = head.index("Idx"), head.index("Val")
    for line in lines[1:]:
        words = line.split("\t") if "\t" in line else line.split()
        if len(words) > count:
            yield int(words[index]), int(words[count])
