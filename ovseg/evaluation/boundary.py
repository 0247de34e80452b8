"""Boundary IoU (Cheng et al., CVPR 2021) for label maps of any number of classes."""

from __future__ import annotations

import math

import numpy as np

from ovseg.evaluation.confusion import area_counts

__all__ = ["boundary_areas", "boundary_mask"]

RATIO = 0.02
"""Width of the boundary as a share of the image's diagonal, the paper's choice."""


def boundary_mask(labels: np.ndarray, ratio: float = RATIO) -> np.ndarray:
    """Mark the pixels of each region that are close to its border.

    A pixel is marked when the square of side 2 d + 1 around it holds another label or leaves the
    image, d being `ratio` times the diagonal, rounded, at least 1. For each class that is the
    mask less its erosion, as the paper has it, but found for all classes at once.

    Args:
        labels: (H, W) integers, 0 to 65535.
        ratio: width as a share of the diagonal.

    Returns:
        (H, W) bool.

    Example:
        >>> boundary_mask(np.zeros((3, 4), int)).astype(int).tolist()
        [[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    """
    import cv2

    distance = max(1, round(ratio * math.hypot(*labels.shape)))
    kernel = np.ones((2 * distance + 1, 1), np.uint8)
    # One more than any id stands around the image, so that its edge is a border too.
    low: np.ndarray = np.pad(labels.astype(np.float32), distance, constant_values=65536)
    high = low
    for each in (kernel, kernel.T):
        low, high = cv2.erode(low, each), cv2.dilate(high, each)
    inside = slice(distance, -distance)
    return (low != high)[inside, inside]


def boundary_areas(
    prediction: np.ndarray, label: np.ndarray, classes: int, ignore: int = 255
) -> np.ndarray:
    """Count per class the boundary pixels of intersection, prediction and label.

    Args:
        prediction: (H, W) integers in [0, classes).
        label: (H, W) integers in [0, classes), or `ignore`.
        classes: number of classes K.
        ignore: label value of pixels that do not count.

    Returns:
        (3, K) int64, as `area_counts`: `class_iou` of it is the boundary IoU.

    Raises:
        DatasetError: the maps differ in size, or hold ids that are no class.
    """
    # A class more, `classes`, takes what is no boundary; it is left out at the end.
    counted = label != ignore
    thin_label = np.where(boundary_mask(label), label, classes)
    thin_label = np.where(counted, thin_label, classes + 1)
    thin_prediction = np.where(boundary_mask(prediction), prediction, classes)
    return area_counts(thin_prediction, thin_label, classes + 1, classes + 1)[:, :classes]
