"""Integer counts behind IoU and accuracy, as a pure function and a thin accumulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ovseg.errors import DatasetError
from ovseg.evaluation.scores import class_iou, mean_percent

__all__ = ["IoUCounts", "area_counts", "confusion_matrix"]


def area_counts(
    prediction: np.ndarray, label: np.ndarray, classes: int, ignore: int = 255
) -> np.ndarray:
    """Count per class the pixels of intersection, prediction and label.

    Args:
        prediction: (H, W) integers in [0, classes).
        label: (H, W) integers in [0, classes), or ``ignore``.
        classes: number of classes K.
        ignore: label value of pixels that do not count.

    Returns:
        (3, K) int64: intersection, predicted area, labeled area.

    Raises:
        DatasetError: the maps differ in size, or hold ids that are no class.

    Example:
        >>> area_counts(np.array([[0, 1]]), np.array([[0, 0]]), 2).tolist()
        [[1, 0], [1, 1], [2, 0]]
    """
    prediction, label = _counted(prediction, label, classes, ignore)
    return np.stack(
        [
            np.bincount(values, minlength=classes)
            for values in (label[prediction == label], prediction, label)
        ]
    )


def confusion_matrix(
    prediction: np.ndarray, label: np.ndarray, classes: int, ignore: int = 255
) -> np.ndarray:
    """Count the pixels of every pair of classes; arguments and errors as of `area_counts`.

    Returns:
        (K, K) int64: rows are labels, columns predictions.

    Example:
        >>> confusion_matrix(np.array([[0, 1]]), np.array([[0, 0]]), 2).tolist()
        [[1, 1], [0, 0]]
    """
    prediction, label = _counted(prediction, label, classes, ignore)
    pairs = np.bincount(classes * label + prediction, minlength=classes**2)
    return pairs.reshape(classes, classes)


def _counted(
    prediction: np.ndarray, label: np.ndarray, classes: int, ignore: int
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and label of the pixels that count, (N,) int64, checked."""
    if prediction.shape != label.shape:
        raise DatasetError(
            f"the prediction has the size {prediction.shape}, the label map {label.shape}",
            expected="equal sizes",
        )
    counted = label != ignore
    prediction, label = prediction[counted].astype(np.int64), label[counted].astype(np.int64)
    _check_ids("the prediction", prediction, classes)
    _check_ids("the label map", label, classes, fix=f"ids that do not count must be {ignore}")
    return prediction, label


def _check_ids(what: str, ids: np.ndarray, classes: int, fix: str | None = None) -> None:
    odd = ids[(ids < 0) | (ids >= classes)]
    if odd.size:
        raise DatasetError(
            f"{what} holds the id {odd[0]} ({odd.size} pixels hold ids that are no class)",
            expected=f"ids from 0 to {classes - 1}",
            fix=fix,
        )


@dataclass
class IoUCounts:
    """Accumulates :func:`area_counts` over images.

    Args:
        classes: number of classes K.
        ignore: label value of pixels that do not count.
    """

    classes: int
    ignore: int = 255

    def __post_init__(self) -> None:
        self.counts = np.zeros((3, self.classes), dtype=np.int64)
        self.images = 0

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Add one image's label maps, both (H, W)."""
        self.counts += area_counts(prediction, label, self.classes, self.ignore)
        self.images += 1

    def iou(self) -> np.ndarray:
        """(K,) float64 in [0, 1]; nan for classes in neither prediction nor label."""
        return class_iou(self.counts)

    def mean_iou(self, classes: list[int] | None = None) -> float:
        """Mean IoU in percent over the classes that occur; ``classes`` restricts it."""
        return mean_percent(self.iou() if classes is None else self.iou()[classes])

    def accuracy(self) -> float:
        """Share of counted pixels that are right, in percent."""
        total = self.counts[2].sum()
        return float(100 * self.counts[0].sum() / total) if total else float("nan")
