"""The metric of ovseg in mmseg's registry: exact integer areas, summed over processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS

from ovseg.errors import DatasetError
from ovseg.evaluation.boundary import boundary_areas
from ovseg.evaluation.confusion import area_counts, confusion_matrix
from ovseg.evaluation.scores import class_iou, mean_percent, summary
from ovseg.segmentation import Segmentation

__all__ = ["OpenVocabIoUMetric", "image_name"]


@METRICS.register_module()
class OpenVocabIoUMetric(BaseMetric):
    """IoU and accuracy from int64 areas; the same integers for any number of processes.

    Its figures are those of `ovseg.evaluation.scores.summary`, in percent and not rounded; `mIoU`,
    `aAcc` and `mAcc` are those of mmseg's `IoUMetric`. Memory does not grow with the images.

    Args:
        ignore_index: label of pixels that do not count; 65535 for 16-bit label maps.
        boundary: also give the boundary IoU (`boundary_mIoU`), which costs more time.
        confusion: also keep the confusion matrix, (K, K) int64, in `sums["confusion"]`.
        output_dir: folder that gets each prediction as `NAME.label.png`; None for none.
        image_root: folder of the images: names in `output_dir` are relative to it.
        format_only: only write predictions, for images without label maps.
        keep_results: for mmseg's test tool, which sets it; nothing is ever kept.
        collect_device: for mmengine; not used.
        prefix: goes before the names of the figures.

    Attributes:
        sums: after `evaluate`, the summed arrays: `areas`, (3, K), and what was asked for besides.

    Raises:
        DatasetError: in use, when labels do not fit, images are missing or counted twice, or
            every pixel is ignored.
    """

    def __init__(
        self,
        ignore_index: int = 255,
        boundary: bool = False,
        confusion: bool = False,
        output_dir: str | None = None,
        image_root: str | None = None,
        format_only: bool = False,
        keep_results: bool = False,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_index = ignore_index
        self.counters = {"areas": area_counts}
        if boundary:
            self.counters["boundary"] = boundary_areas
        if confusion:
            self.counters["confusion"] = confusion_matrix
        self.output_dir = output_dir
        self.image_root = image_root
        self.format_only = format_only
        self.sums: dict[str, np.ndarray] = {}
        self._reset()

    def _reset(self) -> None:
        """Forget what this process has counted."""
        self._images: list[str] = []
        self._counted: dict[str, np.ndarray] = {}
        self._latest: dict[str, np.ndarray] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Count a batch: `pred_sem_seg` against `gt_sem_seg`, both (1, H, W)."""
        classes = self.dataset_meta["classes"]
        for sample in data_samples:
            prediction = _map_of(sample, "pred_sem_seg")
            if self.output_dir is not None:
                name = image_name(sample["img_path"], self.image_root)
                Segmentation(prediction, classes).save(self.output_dir, name, ("label",))
            if self.format_only:
                continue
            label = _map_of(sample, "gt_sem_seg")
            try:
                self._latest = {
                    name: count(prediction, label, len(classes), self.ignore_index)
                    for name, count in self.counters.items()
                }
            except DatasetError as error:
                raise DatasetError(
                    error.what, where=sample["img_path"], expected=error.expected, fix=error.fix
                ) from error
            for name, array in self._latest.items():
                self._counted[name] = self._counted.get(name, 0) + array
            self._images.append(sample["img_path"])

    def evaluate(self, size: int) -> dict[str, float]:
        """Sum up over all processes; every process gets the same figures.

        Args:
            size: number of images of the data set.

        Raises:
            DatasetError: not every image was counted once, or no pixel counts.
        """
        images, counted, latest = self._images, self._counted, self._latest
        self._reset()
        if self.format_only:
            return {}
        rank, processes = get_dist_info()
        if len(images) > len(range(rank, size, processes)):
            # mmengine's sampler gives every process equally many: what is too much is the last
            # image of a process, which another one has counted too.
            images = images[:-1]
            counted = {name: array - latest[name] for name, array in counted.items()}
        self.sums = _sum_up(all_gather_object((images, counted)), size)
        return {self._named(name): value for name, value in self.compute_metrics([]).items()}

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Figures of `sums`; mmengine's `results` is not used."""
        figures = summary(self.sums["areas"])
        if "boundary" in self.sums:
            figures["boundary_mIoU"] = mean_percent(class_iou(self.sums["boundary"]))
        return figures

    def _named(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name


def image_name(path: str, root: str | None = None) -> str:
    """Name of an image in a folder of results.

    Args:
        path: file or address of the image.
        root: folder that the name is relative to; None takes the last part alone.

    Example:
        >>> image_name("data/val/ulm/a.b.png", "data/val"), image_name("scene://2x2/7.png")
        ('ulm/a.b', '7')
    """
    pure = PurePosixPath(path.split("://")[-1])
    if root and "://" not in path:
        resolved, home = Path(path).resolve(), Path(root).resolve()
        if resolved.is_relative_to(home):
            pure = PurePosixPath(resolved.relative_to(home).as_posix())
            return str(pure.with_suffix(""))
    return pure.stem


def _sum_up(parts: list[tuple[list[str], dict[str, np.ndarray]]], size: int) -> dict[str, Any]:
    """Sum up images and counts of all processes; refuse if an image is missing or repeated."""
    images = [name for names, _ in parts for name in names]
    if len(images) != size or not size:
        raise DatasetError(
            f"{len(images)} of {size} images were counted, so there is no score",
            expected="every image of the split once",
            fix="a process was lost (look for its message and start again), or the sampler is not "
            "dict(type='DefaultSampler', shuffle=False)"
            if size
            else "check the data set",
        )
    twice = [name for name, count in Counter(images).items() if count > 1]
    if twice:
        raise DatasetError(
            f"the split has {size} items but only {len(set(images))} different images",
            where=", ".join(twice[:5]),
            expected="every image once",
            fix="remove what the list of the split names twice",
        )
    names = dict.fromkeys(name for _, counted in parts for name in counted)
    return {name: sum(counted.get(name, 0) for _, counted in parts) for name in names}


def _map_of(sample: dict[str, Any], key: str) -> np.ndarray:
    if key not in sample:
        raise DatasetError(
            f"no {key}",
            where=sample.get("img_path"),
            expected="a label map for every image",
            fix="let the pipeline load it (LoadLabels), or set format_only=True in the metric",
        )
    return sample[key]["data"].squeeze(0).cpu().numpy()
