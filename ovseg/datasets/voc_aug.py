"""The extended training labels of Pascal VOC (SBD, "VOCaug"): `.mat` files and two lists.

The release lies in `VOCdevkit/VOCaug/dataset`: `cls/*.mat` (variable `GTcls`, field
`Segmentation`), `train.txt` and `val.txt`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ovseg.datasets.conversion import Job, encode_ids
from ovseg.datasets.pairs import read_names
from ovseg.errors import DatasetError
from ovseg.utils.files import write_atomic

__all__ = ["OFFICIAL", "jobs", "write_lists"]

OFFICIAL = 10_582
"""Images of `trainaug.txt`."""


def _release(root: Path) -> Path:
    return root.parent / "VOCaug" / "dataset"


def jobs(root: Path, *, train: bool) -> list[Job]:
    """Jobs for `VOC2012/SegmentationClassAug/*.png`; none without `train`."""
    if not train:
        return []
    folder = root / "SegmentationClassAug"
    sources = sorted((_release(root) / "cls").glob("*.mat"))
    return [Job(source, folder / f"{source.stem}.png", _convert) for source in sources]


def write_lists(root: Path) -> int:
    """Write `trainaug.txt` (all but the validation images) and `aug.txt` (those new to VOC).

    Returns:
        How many lists are written: 0 where they are right already or the release is not there.
    """
    release, lists = _release(root), root / "ImageSets" / "Segmentation"
    if not (release / "train.txt").is_file():
        return 0
    added = {*read_names(release / "train.txt"), *read_names(release / "val.txt")}
    train, val = (set(read_names(lists / name)) for name in ("train.txt", "val.txt"))
    wanted = {"trainaug.txt": (train | added) - val, "aug.txt": added - train - val}
    written = 0
    for name, names in wanted.items():
        text = "".join(f"{item}\n" for item in sorted(names)).encode()
        target = lists / name
        if target.is_file() and target.read_bytes() == text:
            continue
        write_atomic(target, text)
        written += 1
    return written


def _convert(source: Path) -> bytes:
    from scipy.io import loadmat

    try:
        content = loadmat(source)
        ids = np.asarray(content["GTcls"][0]["Segmentation"][0])
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise DatasetError(
            f"cannot be read ({error})", where=source, expected="GTcls.Segmentation, as in SBD"
        ) from error
    if ids.ndim != 2 or ids.max(initial=0) > 20:
        raise DatasetError(
            f"shape {ids.shape}, ids up to {ids.max(initial=0)}", where=source, expected="0 to 20"
        )
    return encode_ids(ids.astype(np.uint8))
