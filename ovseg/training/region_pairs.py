"""Pairs of regions and words on disk: a table, a lossless image and a mask a pair.

The layout is that of the published training data (columns `filepath` and `title`, blank pixels in
CLIP's mean color); the masks, which the published code guesses from the color, come beside it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from ovseg.errors import DatasetError
from ovseg.masks.crops import cut_regions, mask_boxes
from ovseg.training.mask_adaptation import FILL
from ovseg.utils.files import write_atomic

__all__ = ["RegionPair", "StoredCrop", "cut_stored", "read_pairs", "worth_keeping", "write_pairs"]

TABLE = "pairs.tsv"
LEAST_SIDE, LEAST_SHARE = 32, 0.001


class StoredCrop(NamedTuple):
    """A region as it is stored.

    Attributes:
        pixels: (S, S, 3) uint8 RGB, blank in the color `FILL`.
        mask: (S, S) bool, False where blank.
        title: the words.
    """

    pixels: np.ndarray
    mask: np.ndarray
    title: str


class RegionPair(NamedTuple):
    """A row of the table.

    Attributes:
        filepath: of the image.
        title: the words.
        mask: path of the mask; None where it has to be told from the color.
    """

    filepath: Path
    title: str
    mask: Path | None


def worth_keeping(masks: np.ndarray) -> np.ndarray:
    """Tell which masks are large enough: boxes of 32 x 32 pixels, 0.1 % of the image.

    Args:
        masks: (K, H, W) bool.

    Returns:
        (K,) bool.
    """
    boxes = mask_boxes(torch.from_numpy(masks)).numpy()
    wide = (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE).all(axis=1)
    return wide & (masks.mean(axis=(1, 2)) >= LEAST_SHARE)


def cut_stored(
    image_np: np.ndarray, masks: np.ndarray, titles: Iterable[str], side: int = 224
) -> list[StoredCrop]:
    """Cut regions out of an image, as they are stored.

    Args:
        image_np: (H, W, 3) uint8 RGB.
        masks: (K, H, W) bool, none of them empty.
        titles: K words.
        side: S of the stored regions, in pixels.

    Raises:
        InputError: masks of another size than the image.
    """
    keep = torch.from_numpy(masks)
    fill = torch.tensor(FILL, dtype=torch.float32).view(3, 1, 1)
    image_tensor = torch.from_numpy(image_np).permute(2, 0, 1).float()
    found = cut_regions(image_tensor, keep, mask_boxes(keep), side=side, fill=fill)
    pixels = found.pixels.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    kept = found.masks.numpy() > 0
    return [StoredCrop(*each) for each in zip(pixels, kept, titles, strict=True)]


def write_pairs(folder: str | Path, regions: Iterable[StoredCrop]) -> Path:
    """Write regions and their table; the table comes last, when everything it names is there.

    Args:
        folder: gets `pairs.tsv`, `regions/` and `masks/`.
        regions: any number.

    Returns:
        Path of the table.

    Raises:
        DatasetError: there is no region.
    """
    folder, rows = Path(folder), []
    for number, region in enumerate(regions):
        names = [f"{kind}/{number // 1000:04d}/{number:08d}.png" for kind in ("regions", "masks")]
        for name, pixels in zip(names, (region.pixels, region.mask), strict=True):
            write_atomic(folder / name, _png(pixels))
        rows.append((names[0], region.title, names[1]))
    if not rows:
        raise DatasetError("no regions to write", where=folder, expected="masks with words")
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([("filepath", "title", "mask"), *rows])
    return write_atomic(folder / TABLE, text.getvalue().encode())


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    image = pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels
    Image.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()


def read_pairs(path: str | Path) -> list[RegionPair]:
    """Read a table of pairs, separated by tabs or, in a `.csv` file, by commas.

    Args:
        path: the table; its paths are relative to its folder. Columns `filepath` and `title`, and
            where there are masks `mask`.

    Raises:
        DatasetError: no such file, no rows, columns or words missing, or files that are not there.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"the table of pairs cannot be read: {error}",
            where=path,
            fix="write one with tools/mine_pairs.py",
        ) from error
    delimiter = "," if path.suffix == ".csv" else "\t"
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    lacking = {"filepath", "title"} - set(reader.fieldnames or ())
    if lacking:
        raise DatasetError(
            f"no column {' and '.join(sorted(lacking))}",
            where=path,
            expected="columns filepath, title and perhaps mask, separated by "
            + ("commas" if delimiter == "," else "tabs"),
        )
    pairs = [_pair(row, path, line) for line, row in enumerate(reader, start=2)]
    if not pairs:
        raise DatasetError("a table without pairs", where=path, expected="one row or more")
    _refuse_absent(pairs, path)
    return pairs


def _pair(row: dict[str, str | None], path: Path, line: int) -> RegionPair:
    name, title, mask = (row.get(column) or "" for column in ("filepath", "title", "mask"))
    if not name or not title.strip():
        raise DatasetError(
            "a pair without " + ("words" if name else "an image"), where=f"{path}, line {line}"
        )
    return RegionPair(path.parent / name, title, path.parent / mask if mask else None)


def _refuse_absent(pairs: list[RegionPair], path: Path) -> None:
    files = (file for pair in pairs for file in (pair.filepath, pair.mask) if file is not None)
    absent = [str(file) for file in files if not file.is_file()]
    if absent:
        raise DatasetError(
            f"{len(absent)} files are not there: {', '.join(absent[:5])}"
            + (" ..." if len(absent) > 5 else ""),
            where=path,
            expected="paths relative to the folder of the table",
        )
