"""Integer counts behind IoU and accuracy, as a pure function and a thin accumulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ovseg.errors import DatasetError

__all__ = ["IoUCounts", "area_counts"]


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
        (3, K) int64: intersection, predicted area, labelled area.

    Raises:
        DatasetError: the maps differ in size, or hold ids that are no class.

    Example:
        >>> area_counts(np.array([[0, 1]]), np.array([[0, 0]]), 2).tolist()
        [[1, 0], [1, 1], [2, 0]]
    """
    if prediction.shape != label.shape:
        raise DatasetError(
            f"the prediction has the size {prediction.shape}, the label map {label.shape}",
            expected="equal sizes",
        )
    counted = label != ignore
    prediction, label = prediction[counted].astype(np.int64), label[counted].astype(np.int64)
    _check_ids("the prediction", prediction, classes)
    _check_ids("the label map", label, classes, fix=f"ids that do not count must be {ignore}")
    return np.stack(
        [
            np.bincount(values, minlength=classes)
            for values in (label[prediction == label], prediction, label)
        ]
    )


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
    """Accumulates :func:`area_counts` over pictures.

    Args:
        classes: number of classes K.
        ignore: label value of pixels that do not count.
    """

    classes: int
    ignore: int = 255

    def __post_init__(self) -> None:
        self.counts = np.zeros((3, self.classes), dtype=np.int64)
        self.pictures = 0

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Add one picture's label maps, both (H, W)."""
        self.counts += area_counts(prediction, label, self.classes, self.ignore)
        self.pictures += 1

    def iou(self) -> np.ndarray:
        """(K,) float64 in [0, 1]; nan for classes in neither prediction nor label."""
        intersection, predicted, labelled = self.counts.astype(np.float64)
        union = predicted + labelled - intersection
        return np.divide(intersection, union, out=np.full_like(union, np.nan), where=union > 0)

    def mean_iou(self, classes: list[int] | None = None) -> float:
        """Mean IoU in percent over the classes that occur; ``classes`` restricts it."""
        iou = self.iou() if classes is None else self.iou()[classes]
        return float(100 * np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")

    def accuracy(self) -> float:
        """Share of counted pixels that are right, in percent."""
        total = self.counts[2].sum()
        return float(100 * self.counts[0].sum() / total) if total else float("nan")
