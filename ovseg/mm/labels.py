"""The transform that reads label maps: every id as it stands, and none that should not be there."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image, UnidentifiedImageError

from ovseg.errors import ConfigError, DatasetError

__all__ = ["LoadLabels", "check_ids", "decode_ids"]


def decode_ids(
    data: bytes, where: str, colours: Sequence[Sequence[int]] | None = None
) -> np.ndarray:
    """Decode a label map without changing an id.

    Args:
        data: the file: one band of 8 or 16 bits, or indices into a palette; with `colours` also
            an RGB picture.
        where: its path, for messages.
        colours: the RGB colour of each id in turn.

    Returns:
        (H, W) int32 ids.

    Raises:
        DatasetError: not a picture, an RGB picture without `colours`, or a colour not among them.
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
    if bands[:3] == ("R", "G", "B") and colours is not None:
        return _ids_of_colours(values[:, :, :3], colours, where)
    raise DatasetError(
        f"label map has bands {''.join(bands)} ({values.dtype}) in place of class ids",
        where=where,
        expected="one band of 8 or 16 bit class ids",
        fix="if colours stand for classes, pass their table: "
        "dict(type='LoadLabels', colours=[[r, g, b], ...]), the colour of class 0 first",
    )


def _ids_of_colours(pixels: np.ndarray, colours: Sequence[Sequence[int]], where: str) -> np.ndarray:
    weights = np.array([65536, 256, 1])
    codes = pixels.astype(np.int64) @ weights
    table = np.asarray(colours, dtype=np.int64) @ weights
    order = np.argsort(table)
    found = order[np.clip(np.searchsorted(table, codes, sorter=order), 0, len(order) - 1)]
    unknown = table[found] != codes
    if unknown.any():
        raise DatasetError(
            f"colour {tuple(int(v) for v in pixels[unknown][0])} of {int(unknown.sum())} pixels "
            "is not in the colour table",
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


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Loads `seg_map_path` as mmseg's `LoadAnnotations` does, exactly and checked.

    Unlike that one it keeps ids above 255, reads palette files as indices, refuses ids that no
    class has, and label maps of another size than the picture. Without `seg_map_path` (a picture
    given to mmseg's inferencer) it does nothing.

    Args:
        num_classes: how many classes there are; by default what the data set says
            (`num_classes` of its items). None and nothing said: the range is not checked.
        ignore: the id of pixels that do not count, in the file and in the result; by default what
            the data set says (`ignore_index` of its items), else 255.
        colours: for label maps in colours, the RGB colour of each id.
        backend_args: of mmengine's file backend.

    Raises:
        ConfigError: `ignore` is the id of a class.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        ignore: int | None = None,
        colours: Sequence[Sequence[int]] | None = None,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        self.num_classes = num_classes
        self.ignore = ignore
        self.colours = colours
        self.backend_args = dict(backend_args) if backend_args else None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `gt_seg_map`, (H, W) int32 ids.

        Raises:
            DatasetError: the file is no label map, or not that of the picture.
        """
        path = results.get("seg_map_path")
        if path is None:
            return results
        ids = decode_ids(fileio.get(path, self.backend_args), path, self.colours)
        if "ori_shape" in results:
            _check_size(ids.shape, tuple(results["ori_shape"]), path)
        ignore = self.ignore if self.ignore is not None else results.get("ignore_index", 255)
        if results.get("reduce_zero_label"):
            ids = np.where((ids == 0) | (ids == ignore), ignore, ids - 1)
        self._check(ids, ignore, results, path)
        label_map = results.get("label_map")
        if label_map:
            old, ids = ids, ids.copy()
            for old_id, new_id in label_map.items():
                ids[old == old_id] = new_id
        results["gt_seg_map"] = ids
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results

    def _check(self, ids: np.ndarray, ignore: int, results: Mapping[str, Any], path: str) -> None:
        count = self.num_classes if self.num_classes is not None else results.get("num_classes")
        if count is None:
            return
        if 0 <= ignore < count:
            raise ConfigError(
                f"ignore id {ignore} is the id of a class",
                where="LoadLabels",
                expected=f"an id that none of the {count} classes has",
                fix="set ignore=65535, in the label maps and in the metric too",
            )
        check_ids(ids, count, ignore, path)

    def __repr__(self) -> str:
        return f"LoadLabels(num_classes={self.num_classes}, ignore={self.ignore})"


def _check_size(labels: tuple[int, ...], picture: tuple[int, ...], path: str) -> None:
    if labels == picture[:2]:
        return
    turned = labels == picture[1::-1]
    raise DatasetError(
        f"label map is {labels[0]} x {labels[1]} px, its picture {picture[0]} x {picture[1]}",
        where=path,
        expected="equal height and width",
        fix="the picture carries an EXIF rotation: turn the label map too, or strip the tag"
        if turned
        else None,
    )
