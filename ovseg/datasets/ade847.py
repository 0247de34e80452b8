"""The full ADE20K release (2021_17_01) becomes 847 classes in 16-bit TIFF.

Beside each image `NAME.jpg` lies `NAME_seg.png`: its red and green bands code the object class.
As the published protocol has it, images and label maps with a short side above 512 are shrunk to
512 (images linearly, label maps to the nearest).
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ovseg.datasets.conversion import Job, encode_ids
from ovseg.errors import DatasetError

__all__ = ["jobs", "source_ids"]

_SHORT_SIDE = 512
_IGNORE = 65_535
_FOLDERS = {"validation": "ADE_val_*.jpg", "training": "ADE_train_*.jpg"}


@cache
def source_ids() -> tuple[int, ...]:
    """Number of each of the 847 classes among the release's object classes."""
    text = (Path(__file__).parent / "ade847_ids.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(int(word) for word in " ".join(lines).split())


def jobs(root: Path, *, train: bool) -> list[Job]:
    """Jobs for `images_detectron2/` and `annotations_detectron2/`, from `images/`."""
    made = []
    for folder in ["validation", "training"] if train else ["validation"]:
        for image in sorted((root / "images").rglob(_FOLDERS[folder])):
            images, labels = (root / f"{kind}_detectron2" / folder for kind in _KINDS)
            segments = image.with_name(f"{image.stem}_seg.png")
            made.append(Job(image, images / image.name, _convert_image))
            made.append(Job(segments, labels / f"{image.stem}.tif", _convert_labels))
    return made


_KINDS = ("images", "annotations")


def _shrunk(height: int, width: int) -> tuple[int, int] | None:
    """Size (height, width) to shrink to, or None."""
    if min(height, width) <= _SHORT_SIDE:
        return None
    if width >= height:
        return _SHORT_SIDE, round(width / height * _SHORT_SIDE)
    return round(height / width * _SHORT_SIDE), _SHORT_SIDE


def _convert_image(source: Path) -> bytes:
    import cv2

    with _opened(source) as file:
        size = _shrunk(file.height, file.width)
        if size is None:
            return source.read_bytes()
        pixels = np.array(file.convert("RGB"))
    pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG")
    return data.getvalue()


def _convert_labels(source: Path) -> bytes:
    """Classes of a `_seg.png` file: red // 10 * 256 + green is the object class's number."""
    import cv2

    with _opened(source) as file:
        if file.getbands()[:3] != ("R", "G", "B"):
            raise DatasetError(
                f"bands {''.join(file.getbands())}",
                where=source,
                expected="the RGB file NAME_seg.png of the full ADE20K release",
            )
        pixels = np.array(file)
    objects = pixels[:, :, 0].astype(np.int32) // 10 * 256 + pixels[:, :, 1]
    ids = _table()[objects]
    size = _shrunk(*ids.shape)
    if size is not None:
        ids = cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST)
    return encode_ids(ids, "TIFF")


@cache
def _table() -> np.ndarray:
    table = np.full(26 * 256, _IGNORE, dtype=np.uint16)
    for index, source in enumerate(source_ids()):
        table[source] = index
    return table


def _opened(path: Path) -> Image.Image:
    try:
        file = Image.open(path)
        file.load()
    except OSError as error:
        raise DatasetError(
            f"cannot be read ({error.strerror or error})",
            where=path,
            fix="get the file again from the data set's own site",
        ) from error
    return file
