"""Small copies of every benchmark in its true layout and encodings, with known label maps.

`write_benchmark` writes what the release has, before `ovseg prepare`: names, suffixes, palette PNG,
RGB-coded `_seg.png`, `.mat`, JSON. Images are drawn scenes. It returns what the data set has to
give for each item.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from ovseg.datasets import BENCHMARKS, Benchmark
from ovseg.datasets.ade847 import source_ids
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.scenes.world import draw_scene

__all__ = ["write_benchmark"]

Truth = dict[str, np.ndarray]

SIZE = (48, 64)
FIRST_SEED = 2_000_000

# As the release of COCO-Stuff lists them: 182 numbers, 11 of which are unused.
COCO_UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
COCO_NUMBERS = [number for number in range(1, 183) if number not in COCO_UNUSED]
CONTEXT_NAMES = {"diningtable": "table"}
CITYSCAPES_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]


def write_benchmark(name: str, data: Path, count: int = 3, size: tuple[int, int] = SIZE) -> Truth:
    """Write `count` items of a benchmark's validation split, as its release has them.

    In each label map the first 4 x 4 block does not count, the next one is the first class and
    the next the last class; the rest follows the drawn scene.

    Args:
        name: of the benchmark.
        data: the folder that stands for `data/`.
        count: how many items.
        size: (height, width) of the images.

    Returns:
        Item name to (H, W) int64 class indices, with the ignore id where a pixel does not count.
    """
    row = BENCHMARKS[name]
    root = data / row.root
    return _WRITERS[row.root](row, root, list(_items(row, count, size)))


def _items(row: Benchmark, count: int, size: tuple[int, int]) -> Iterator[tuple]:
    """Images and class indices, -1 where a pixel does not count."""
    spread = np.linspace(0, row.num_classes - 1, 40).round().astype(np.int64)
    if row.name == "context459":  # those of VOC among them are told by ImageSets/Main
        names = Vocabulary.builtin("context459").classes
        spread[::2] = [names.index(CONTEXT_NAMES.get(name, name)) for name in _names20()]
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scene = draw_scene(seed, size)
        indices = np.where(scene.labels == 255, -1, spread[np.minimum(scene.labels, 39)])
        indices[:4, :12] = np.repeat([-1, 0, row.num_classes - 1], 4)
        yield scene.image, indices


def _truth(row: Benchmark, indices: np.ndarray) -> np.ndarray:
    return np.where(indices < 0, 255 if row.ignore is None else row.ignore, indices)


def _image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def _labels(path: Path, ids: np.ndarray, palette: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = Image.fromarray(ids.astype(np.uint8))
    if palette is not None:
        file.putpalette(palette)
    file.save(path)


def _text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def _ade20k(row: Benchmark, root: Path, items: list) -> Truth:
    truth = {}
    images = np.zeros(151, dtype=int)
    for number, (image, indices) in enumerate(items, start=1):
        name = f"ADE_val_{number:08d}"
        _image(root / "images" / "validation" / f"{name}.jpg", image)
        _labels(root / "annotations" / "validation" / f"{name}.png", indices + 1)
        images[np.unique(indices + 1)] += 1
        truth[name] = _truth(row, indices)
    names = Vocabulary.builtin("ade20k").classes
    table = [f"{i}\t0.0\t0\t{images[i]}\t0\t{names[i - 1]}" for i in range(1, 151)]
    _text(root / "objectInfo150.txt", ["Idx\tRatio\tTrain\tVal\tStuff\tName", *table])
    return truth


def _ade847(row: Benchmark, root: Path, items: list) -> Truth:
    truth = {}
    unlisted = next(number for number in range(1, 3200) if number not in source_ids())
    numbers = np.array([*source_ids(), unlisted])
    for number, (image, indices) in enumerate(items, start=1):
        name = f"ADE_val_{number:08d}"
        folder = root / "images" / "ADE" / "validation" / "urban" / "street"
        _image(folder / f"{name}.jpg", image)
        objects = numbers[indices]
        coded = np.stack([objects // 256 * 10, objects % 256, objects * 0 + number], axis=-1)
        Image.fromarray(coded.astype(np.uint8)).save(folder / f"{name}_seg.png")
        truth[name] = _truth(row, indices)
    return truth


def _coco(row: Benchmark, root: Path, items: list) -> Truth:
    names = Vocabulary.builtin("coco_stuff164k").classes
    raw = np.array([number - 1 for number in COCO_NUMBERS] + [255])
    truth, images, annotations = {}, [], []
    for number, (image, indices) in enumerate(items, start=1):
        # An item of COCO-Object is one of COCO-Stuff whose background is unlabeled or stuff.
        stuff = indices if row.name == "coco_stuff164k" else _object_as_stuff(indices)
        name = f"{number * 139:012d}"
        _image(root / "images" / "val2017" / f"{name}.jpg", image)
        _labels(root / "annotations" / "val2017" / f"{name}.png", raw[stuff])
        truth[name] = _truth(row, indices) if stuff is indices else np.maximum(indices, 0)
        images.append({"id": number, "file_name": f"{name}.jpg"})
        annotations += [
            {"image_id": number, "category_id": COCO_NUMBERS[index]}
            for index in np.unique(stuff).tolist()
            if 0 <= index < 80
        ]
    categories = [{"id": COCO_NUMBERS[i], "name": names[i]} for i in range(80)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    listed = dict(zip(COCO_NUMBERS, names, strict=True))
    lines = [f"{number}: {listed.get(number, 'unused')}" for number in range(1, 183)]
    _text(root / "labels.txt", ["0: unlabeled", *lines])
    return truth


def _object_as_stuff(indices: np.ndarray) -> np.ndarray:
    """Thing k (1 to 80) is train id k - 1; the background is left open or the last stuff."""
    return np.where(indices > 0, indices - 1, np.where(indices < 0, -1, 170))


def _cityscapes(row: Benchmark, root: Path, items: list) -> Truth:
    names = Vocabulary.builtin("cityscapes").classes
    raw = np.array([*CITYSCAPES_IDS, 4])  # 4 is "static", which does not count
    truth = {}
    for number, (image, indices) in enumerate(items):
        name = f"frankfurt/frankfurt_000000_{number:06d}"
        _image(root / "leftImg8bit" / "val" / f"{name}_leftImg8bit.png", image)
        _labels(root / "gtFine" / "val" / f"{name}_gtFine_labelIds.png", raw[indices])
        objects = [
            {"label": "static" if index < 0 else names[index], "polygon": [[0, 0], [0, 1], [1, 1]]}
            for index in np.unique(indices).tolist()
        ]
        content = {"imgHeight": 48, "imgWidth": 64, "objects": objects}
        path = root / "gtFine" / "val" / f"{name}_gtFine_polygons.json"
        path.write_text(json.dumps(content))
        truth[name] = _truth(row, indices)
    return truth


def _voc(row: Benchmark, root: Path, items: list) -> Truth:
    palette = [value for color in range(256) for value in (color, 255 - color, 7)]
    truth, present = {}, {}
    for number, (image, indices) in enumerate(items):
        name = f"2007_{number:06d}"
        _image(root / "JPEGImages" / f"{name}.jpg", image)
        # In the files 0 is the background and 255 the seam around objects.
        ids = np.where(indices < 0, 255, indices + row.reduce_zero)
        if row.reduce_zero:
            ids[:4, :2] = 0
        _labels(root / "SegmentationClass" / f"{name}.png", ids, palette)
        truth[name], present[name] = _truth(row, indices), set(np.unique(ids).tolist())
    lists = root / "ImageSets"
    _text(lists / "Segmentation" / "val.txt", list(truth))
    _text(lists / "Segmentation" / "train.txt", ["2007_900000"])
    _presence(root, present, {name: index for index, name in enumerate(_names20(), start=1)})
    return truth


def _presence(root: Path, present: dict[str, set[int]], ids: dict[str, int]) -> None:
    """Write VOC's lists of what each image shows."""
    for label, index in ids.items():
        lines = [f"{name} {1 if index in seen else -1:2d}" for name, seen in present.items()]
        _text(root / "ImageSets" / "Main" / f"{label}_val.txt", lines)


def _context(row: Benchmark, root: Path, items: list) -> Truth:
    all_names = Vocabulary.builtin("context459").classes
    outside = all_names.index("accordion") + 1  # none of the 59
    numbers = {
        "context459": [*range(1, 460), 0],
        "context59": [*(all_names.index(n) + 1 for n in _names59()), outside],
        "context60": [outside, *(all_names.index(n) + 1 for n in _names59()), outside],
    }[row.name]
    truth, present = {}, {}
    for number, (image, indices) in enumerate(items):
        name = f"2008_{number:06d}"
        _image(root / "JPEGImages" / f"{name}.jpg", image)
        path = root / "trainval" / f"{name}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        label_map = np.array(numbers)[indices]
        savemat(path, {"LabelMap": label_map.astype(np.uint16)})
        present[name] = set(np.unique(label_map).tolist())
        truth[name] = np.maximum(indices, 0) if row.background else _truth(row, indices)
    _text(root / "ImageSets" / "Main" / "val.txt", list(truth))
    _text(root / "ImageSets" / "Main" / "train.txt", ["2008_900000"])
    numbered = [CONTEXT_NAMES.get(name, name) for name in _names20()]
    _presence(
        root,
        present,
        {name: all_names.index(n) + 1 for name, n in zip(_names20(), numbered, strict=True)},
    )
    _text(root / "labels.txt", [f"{i}: {name}" for i, name in enumerate(all_names, start=1)])
    return truth


def _names20() -> tuple[str, ...]:
    return Vocabulary.builtin("voc20").classes


def _names59() -> tuple[str, ...]:
    return Vocabulary.builtin("context59").classes


_WRITERS: dict[str, Callable[[Benchmark, Path, list], Truth]] = {
    "ade/ADEChallengeData2016": _ade20k,
    "ade/ADE20K_2021_17_01": _ade847,
    "coco_stuff164k": _coco,
    "cityscapes": _cityscapes,
    "VOCdevkit/VOC2012": _voc,
    "VOCdevkit/VOC2010": _context,
}
