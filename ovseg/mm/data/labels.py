"""The transform that reads label maps: every id as it stands, and none that should not be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ovseg.datasets.labels import check_ids, check_label_size, decode_ids
from ovseg.errors import ConfigError

__all__ = ["LoadLabels"]


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Loads `seg_map_path` as mmseg's `LoadAnnotations` does, exactly and checked.

    Unlike that one it keeps ids above 255, reads palette files as indices, refuses ids that no
    class has, and label maps of another size than the image. Without `seg_map_path` (an image
    given to mmseg's inferencer) it does nothing.

    Args:
        num_classes: how many classes there are; by default what the data set says
            (`num_classes` of its items). None and nothing said: the range is not checked.
        ignore: the id of pixels that do not count, in the file and in the result; by default what
            the data set says (`ignore_index` of its items), else 255.
        colors: for label maps in colors, the RGB color of each id.
        backend_args: of mmengine's file backend.

    Raises:
        ConfigError: `ignore` is the id of a class.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        ignore: int | None = None,
        colors: Sequence[Sequence[int]] | None = None,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        self.num_classes = num_classes
        self.ignore = ignore
        self.colors = colors
        self.backend_args = dict(backend_args) if backend_args else None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `gt_seg_map`, (H, W) int32 ids.

        Raises:
            DatasetError: the file is no label map, or not that of the image.
        """
        path = results.get("seg_map_path")
        if path is None:
            return results
        ids = decode_ids(fileio.get(path, self.backend_args), path, self.colors)
        if "ori_shape" in results:
            check_label_size(ids.shape, tuple(results["ori_shape"]), path)
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
