import numpy as np
import pytest

from ovseg.errors import DatasetError
from ovseg.evaluation.confusion import IoUCounts, area_counts


def test_counts_equal_a_plain_loop():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, (9, 7))
    label[rng.random((9, 7)) < 0.2] = 255
    prediction = rng.integers(0, 5, (9, 7))
    kept = label != 255
    expected = [
        [np.sum((prediction == c) & (label == c) & kept) for c in range(5)],
        [np.sum((prediction == c) & kept) for c in range(5)],
        [np.sum((label == c) & kept) for c in range(5)],
    ]
    counts = area_counts(prediction.astype(np.uint8), label.astype(np.uint8), 5)
    assert counts.dtype == np.int64
    assert counts.tolist() == expected


def test_ignored_pixels_never_count():
    label = np.array([[255, 255], [0, 1]])
    assert area_counts(np.array([[0, 1], [0, 0]]), label, 2).tolist() == [[1, 0], [2, 0], [1, 1]]


def test_images_add_up():
    counts = IoUCounts(3)
    counts.update(np.array([[0, 1]]), np.array([[0, 0]]))
    counts.update(np.array([[1, 1]]), np.array([[1, 0]]))
    assert counts.images == 2
    assert counts.iou()[:2].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert counts.accuracy() == pytest.approx(50)


def test_a_class_that_never_occurs_is_left_out_of_the_mean():
    counts = IoUCounts(3)
    counts.update(np.array([[0, 1]]), np.array([[0, 1]]))
    assert np.isnan(counts.iou()[2])
    assert counts.mean_iou() == pytest.approx(100)
    assert counts.mean_iou([0]) == pytest.approx(100)


def test_nothing_counted_has_no_score():
    counts = IoUCounts(2, ignore=-1)
    counts.update(np.array([[0]]), np.array([[-1]]))
    assert np.isnan(counts.mean_iou())
    assert np.isnan(counts.accuracy())


@pytest.mark.parametrize(
    ("prediction", "label", "words"),
    [
        ([[0, 1]], [[2, 1]], "the label map holds the id 2 .1 pixels.*0 to 1.*must be 255"),
        ([[0, 1]], [[-1, -1]], "the label map holds the id -1 .2 pixels"),
        ([[9, 1]], [[0, 1]], "the prediction holds the id 9"),
        ([[0, 1]], [[0], [1]], "the size .1, 2., the label map .2, 1."),
    ],
)
def test_maps_that_do_not_fit_are_refused(prediction, label, words):
    with pytest.raises(DatasetError, match=words):
        area_counts(np.array(prediction), np.array(label), 2)


def test_an_odd_prediction_at_an_ignored_pixel_does_no_harm():
    assert area_counts(np.array([[9, 1]]), np.array([[255, 1]]), 2)[0].tolist() == [0, 1]
