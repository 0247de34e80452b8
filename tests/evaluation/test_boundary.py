"""Boundary IoU against the erosion of one class's mask at a time."""

import cv2
import numpy as np
import pytest

from ovseg.errors import DatasetError
from ovseg.evaluation.boundary import boundary_areas, boundary_mask


def blobs(seed, classes, size=(60, 80)):
    rng = np.random.default_rng(seed)
    coarse = rng.random((classes, 6, 8)).astype(np.float32)
    return np.stack(
        [cv2.resize(c, size[::-1], interpolation=cv2.INTER_CUBIC) for c in coarse]
    ).argmax(0)


def eroded_away(mask, distance):
    """The paper's definition: a mask less its erosion, the outside of the image being outside."""
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)
    return mask & ~inner[1:-1, 1:-1].astype(bool)


@pytest.mark.parametrize(("size", "distance"), [((60, 80), 2), ((9, 12), 1)])
def test_all_classes_at_once_are_each_by_itself(size, distance):
    labels = blobs(0, 5, size)
    found = boundary_mask(labels)
    for c in range(5):
        assert np.array_equal(found & (labels == c), eroded_away(labels == c, distance))


def test_areas_are_those_of_the_boundaries_without_ignored_pixels():
    prediction, label = blobs(1, 4), blobs(2, 4)
    label[:, :20] = 255
    areas = boundary_areas(prediction, label, 5)
    for c in range(4):
        p = eroded_away(prediction == c, 2) & (label != 255)
        t = eroded_away(label == c, 2)
        assert areas[:, c].tolist() == [(p & t).sum(), p.sum(), t.sum()]
    assert areas[:, 4].tolist() == [0, 0, 0]


def test_ids_that_are_no_class_are_refused():
    with pytest.raises(DatasetError, match="no class"):
        boundary_areas(np.zeros((4, 4), int), np.full((4, 4), 7), 5)
