"""Label maps as files: every id as it stands, and none that should not be there."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from ovseg.errors import DatasetError

__all__ = ["check_ids", "check_label_size", "decode_ids"]


def decode_ids(
    data: bytes, where: str, colors: Sequence[Sequence[int]] | None = None
) -> np.ndarray:
    """Decode a label map without changing an id.

    Args:
        data: the file: one band of 8 or 16 bits, or indices into a palette; with `colors` also
            an RGB image.
        where: its path, for messages.
        colors: the RGB color of each id in turn.

    Returns:
        (H, W) int32 ids.

    Raises:
        DatasetError: not an image, an RGB image without `colors`, or a color not among them.
    """
    try:
        with Image.open(io.BytesIO(data)) as file:
            file.load()
            bands = file.getbands()
            values = np.array(file)
    except (OSError, UnidentifiedImageError) as error:
        raise DatasetError(f"label map cannot be read ({error})", where=where) from error
    if len(bands) == 1 and values.dtype.kind in "uib":
        return values.astype(np.int32)
    if bands[:3] == ("R", "G", "B") and colors is not None:
        return _ids_of_colors(values[:, :, :3], colors, where)
    raise DatasetError(
        f"label map has bands {''.join(bands)} ({values.dtype}) in place of class ids",
        where=where,
        expected="one band of 8 or 16 bit class ids",
        fix="if colors stand for classes, pass their table: "
        "dict(type='LoadLabels', colors=[[r, g, b], ...]), the color of class 0 first",
    )


def _ids_of_colors(pixels: np.ndarray, colors: Sequence[Sequence[int]], where: str) -> np.ndarray:
    weights = np.array([65536, 256, 1])
    codes = pixels.astype(np.int64) @ weights
    table = np.asarray(colors, dtype=np.int64) @ weights
    order = np.argsort(table)
    found = order[np.clip(np.searchsorted(table, codes, sorter=order), 0, len(order) - 1)]
    unknown = table[found] != codes
    if unknown.any():
        raise DatasetError(
            f"color {tuple(int(v) for v in pixels[unknown][0])} of {int(unknown.sum())} pixels "
            "is not in the color table",
            where=where,
        )
    return found.astype(np.int32)


def check_ids(ids: np.ndarray, num_classes: int, ignore: int, where: str) -> None:
    """Refuse a label map with ids that no class has.

    Args:
        ids: (H, W) integer ids.
        num_classes: legal ids are 0 to `num_classes` - 1.
        ignore: the id of pixels that do not count.
        where: path of the label map.

    Raises:
        DatasetError: it names the file, the ids and how many pixels have them.
    """
    wrong = ids[((ids < 0) | (ids >= num_classes)) & (ids != ignore)]
    if not wrong.size:
        return
    values, counts = np.unique(wrong, return_counts=True)
    shown = ", ".join(
        f"{value} ({count} px)" for value, count in zip(values[:5], counts[:5], strict=True)
    )
    more = f" and {len(values) - 5} more ids" if len(values) > 5 else ""
    raise DatasetError(
        f"label ids out of range: {shown}{more}",
        where=where,
        expected=f"0 to {num_classes - 1}, or {ignore} (ignore)",
        fix="check that this is the data set that the class list belongs to, and its "
        "reduce_zero_label",
    )


def check_label_size(labels: tuple[int, ...], image: tuple[int, ...], path: str) -> None:
    """Refuse a label map of another size than its image.

    Args:
        labels: (height, width) of the label map.
        image: (height, width, ...) of the image, upright.
        path: of the label map.

    Raises:
        DatasetError: the sizes differ; it says so when they are only turned.
    """
    if labels == image[:2]:
        return
    turned = labels == image[1::-1]
    raise DatasetError(
        f"label map is {labels[0]} x {labels[1]} px, its image {image[0]} x {image[1]}",
        where=path,
        expected="equal height and width",
        fix="the image carries an EXIF rotation: turn the label map too, or strip the tag"
        if turned
        else None,
    )
