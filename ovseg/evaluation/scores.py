"""Figures from integer areas: IoU and accuracy by class, and their means in every form in use."""

from __future__ import annotations

import numpy as np

from ovseg.errors import DatasetError

__all__ = ["class_accuracy", "class_iou", "mean_percent", "summary"]


def class_iou(areas: np.ndarray) -> np.ndarray:
    """IoU of each class.

    Args:
        areas: (3, K) int64 of `area_counts`: intersection, predicted area, labeled area.

    Returns:
        (K,) float64 in [0, 1]; nan for classes in neither prediction nor label.

    Example:
        >>> class_iou(np.array([[1, 0, 0], [2, 0, 0], [3, 0, 0]])).tolist()
        [0.25, nan, nan]
    """
    intersection, predicted, labeled = areas.astype(np.float64)
    return _ratio(intersection, predicted + labeled - intersection)


def class_accuracy(areas: np.ndarray) -> np.ndarray:
    """Share of each class's labeled pixels that are right, (K,) in [0, 1]; nan where none are."""
    return _ratio(areas[0].astype(np.float64), areas[2].astype(np.float64))


def mean_percent(values: np.ndarray) -> float:
    """Mean in percent of the values that are not nan; nan when all are.

    Example:
        >>> mean_percent(np.array([0.5, np.nan]))
        50.0
    """
    known = values[~np.isnan(values)]
    return float(100 * known.mean()) if known.size else float("nan")


def summary(areas: np.ndarray) -> dict[str, float | int]:
    """Sum areas up in the figures that are reported, in percent.

    Args:
        areas: (3, K) int64 of `area_counts`, summed over the images.

    Returns:
        `mIoU`: mean IoU over the classes in prediction or label, as mmseg's `IoUMetric`, the
        evaluator of OVSeg and older detectron2 have it: a class that is predicted but never
        labeled counts as 0. `mIoU_labeled_classes`: over the labeled classes only, as newer
        detectron2. `fwIoU`: weighted by labeled area. `aAcc`: share of pixels that are right.
        `mAcc`: mean accuracy of the labeled classes. `zero_iou_rate`: share of the classes behind
        `mIoU` whose IoU is 0. `classes_counted`: their number. `classes_labeled`. `pixels`.

    Raises:
        DatasetError: no pixel counts, so that nothing is defined.

    Example:
        >>> figures = summary(np.array([[2, 0, 0], [2, 2, 0], [4, 0, 0]]))
        >>> figures["mIoU"], figures["mIoU_labeled_classes"], figures["classes_counted"]
        (25.0, 50.0, 2)
    """
    labeled = areas[2]
    pixels = int(labeled.sum())
    if not pixels:
        raise DatasetError(
            "the score is undefined: every pixel of every label map is ignored",
            expected="label maps with ids of classes",
            fix="check the ignore id and reduce_zero_label of the data set",
        )
    iou = class_iou(areas)
    known = iou[~np.isnan(iou)]
    return {
        "mIoU": mean_percent(iou),
        "mIoU_labeled_classes": mean_percent(iou[labeled > 0]),
        "fwIoU": float(100 * np.nansum(iou * labeled) / pixels),
        "aAcc": float(100 * int(areas[0].sum()) / pixels),
        "mAcc": mean_percent(class_accuracy(areas)),
        "zero_iou_rate": float(100 * np.mean(known == 0)),
        "classes_counted": int(known.size),
        "classes_labeled": int((labeled > 0).sum()),
        "pixels": pixels,
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
