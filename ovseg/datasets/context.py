"""Pascal Context's `.mat` files become label maps of 459 classes, and of 59 and the background.

The release has one file an image with the variable `LabelMap`, numbers 1 to 459. The 59 classes
are those among them that bear their names; all others are background.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from ovseg.datasets.conversion import Job, encode_ids
from ovseg.datasets.pairs import read_names
from ovseg.errors import DatasetError
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.utils.files import write_atomic

__all__ = ["MAT_FOLDERS", "jobs_59", "jobs_459", "write_lists"]

MAT_FOLDERS = ("trainval", "Context/trainval", "pascal_context/trainval")
"""Where the `.mat` files are looked for, under `VOCdevkit/VOC2010`."""

_IGNORE = 65_535
_CLASSES = 459


def jobs_459(root: Path, *, train: bool) -> list[Job]:
    """Jobs for `annotations_detectron2/pc459_{val,train}/*.tif`."""
    folder = root / "annotations_detectron2"
    return [
        Job(source, folder / f"pc459_{split}" / f"{source.stem}.tif", _to_459)
        for split in (["val", "train"] if train else ["val"])
        for source in _listed(root, split)
    ]


def jobs_59(root: Path, *, train: bool) -> list[Job]:
    """Jobs for `SegmentationClassContext/*.png`, ids 0 (background) to 59."""
    folder = root / "SegmentationClassContext"
    return [
        Job(source, folder / f"{source.stem}.png", _to_59)
        for split in (["val", "train"] if train else ["val"])
        for source in _listed(root, split)
    ]


def write_lists(root: Path) -> int:
    """Write `ImageSets/SegmentationContext/{train,val}.txt` where they are missing.

    Pascal Context's images are VOC2010's `ImageSets/Main` ones.

    Returns:
        How many lists are written.
    """
    written = 0
    for split in ("train", "val"):
        target = root / "ImageSets" / "SegmentationContext" / f"{split}.txt"
        main = root / "ImageSets" / "Main" / f"{split}.txt"
        if target.is_file() or not main.is_file():
            continue
        write_atomic(target, "".join(f"{name}\n" for name in sorted(read_names(main))).encode())
        written += 1
    return written


def _listed(root: Path, split: str) -> list[Path]:
    """The `.mat` files of a split, as far as they are there."""
    listed = root / "ImageSets" / "SegmentationContext" / f"{split}.txt"
    folder = next((root / name for name in MAT_FOLDERS if (root / name).is_dir()), None)
    if folder is None or not listed.is_file():
        return []
    paths = [folder / f"{name}.mat" for name in read_names(listed)]
    return [path for path in paths if path.is_file()]


def read_label_map(source: Path) -> np.ndarray:
    """Read `LabelMap` of a `.mat` file: (H, W) int32, 1 to 459, 0 for nothing.

    Raises:
        DatasetError: no such variable, not readable, or other numbers.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(source)
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise DatasetError(f"cannot be read as .mat ({error})", where=source) from error
    if "LabelMap" not in content:
        seen = ", ".join(key for key in content if not key.startswith("__"))
        raise DatasetError(
            f"no variable LabelMap (there is {seen or 'none'})",
            where=source,
            expected="a file of Pascal Context's trainval.tar.gz",
        )
    numbers = np.asarray(content["LabelMap"])
    if numbers.ndim != 2 or numbers.min(initial=0) < 0 or numbers.max(initial=0) > _CLASSES:
        raise DatasetError(
            f"LabelMap of shape {numbers.shape} with numbers up to {numbers.max(initial=0)}",
            where=source,
            expected=f"two dimensions and numbers 0 to {_CLASSES}",
        )
    return numbers.astype(np.int32)


def _to_459(source: Path) -> bytes:
    numbers = read_label_map(source)
    return encode_ids(np.where(numbers == 0, _IGNORE, numbers - 1).astype(np.uint16), "TIFF")


def _to_59(source: Path) -> bytes:
    return encode_ids(number_to_59()[read_label_map(source)])


@cache
def number_to_59() -> np.ndarray:
    """(460) uint8: number in the `.mat` files to id in `SegmentationClassContext`."""
    number = {name: i for i, name in enumerate(Vocabulary.builtin("context459").classes, start=1)}
    table = np.zeros(_CLASSES + 1, dtype=np.uint8)
    for index, name in enumerate(Vocabulary.builtin("context59").classes, start=1):
        table[number[name]] = index
    return table
