"""Figures from areas, against mmseg's metric and detectron2's published rules."""

import numpy as np
import pytest

from ovseg.errors import DatasetError
from ovseg.evaluation.confusion import area_counts, confusion_matrix
from ovseg.evaluation.scores import class_accuracy, class_iou, mean_percent, summary


def random_maps(seed, classes, absent=(), size=(40, 50), ignore=255):
    """Maps in which `absent` classes are never labeled, but may be predicted."""
    rng = np.random.default_rng(seed)
    present = [c for c in range(classes) if c not in absent]
    label = rng.choice(present, size)
    prediction = np.where(rng.random(size) < 0.6, label, rng.integers(0, classes, size))
    label[rng.random(size) < 0.1] = ignore
    return prediction, label


def test_a_class_without_pixels_is_left_out_and_the_number_of_the_others_told():
    areas = area_counts(np.array([[0, 0, 1, 2]]), np.array([[0, 1, 1, 1]]), 5)
    figures = summary(areas)
    # IoU by hand: 1/2, 1/3, 0 (predicted, never labeled), undefined twice.
    assert figures["mIoU"] == pytest.approx(100 * (1 / 2 + 1 / 3 + 0) / 3, abs=1e-12)
    assert figures["mIoU_labeled_classes"] == pytest.approx(100 * (1 / 2 + 1 / 3) / 2, abs=1e-12)
    assert figures["classes_counted"] == 3
    assert figures["classes_labeled"] == 2
    assert figures["zero_iou_rate"] == pytest.approx(100 / 3)
    assert figures["aAcc"] == pytest.approx(50)
    assert figures["mAcc"] == pytest.approx(100 * (1 + 1 / 3) / 2)
    assert figures["fwIoU"] == pytest.approx(100 * (1 / 4 * 1 / 2 + 3 / 4 * 1 / 3))
    assert figures["pixels"] == 4


def test_nothing_but_ignored_pixels_has_no_score():
    areas = area_counts(np.zeros((2, 2), int), np.full((2, 2), 255), 3)
    with pytest.raises(DatasetError, match="undefined"):
        summary(areas)
    assert np.isnan(mean_percent(class_iou(areas)))


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_mmseg(seed):
    import torch
    from mmseg.evaluation import IoUMetric

    maps = [random_maps(10 * seed + i, 12, absent=(3, 7)) for i in range(3)]
    areas = sum(area_counts(p, t, 14) for p, t in maps)
    theirs = [
        IoUMetric.intersect_and_union(torch.tensor(p), torch.tensor(t), 14, 255) for p, t in maps
    ]
    sums = [sum(parts) for parts in zip(*theirs, strict=True)]
    values = IoUMetric.total_area_to_metrics(*sums, ["mIoU"])
    figures = summary(areas)
    assert class_iou(areas) == pytest.approx(np.asarray(values["IoU"]), abs=1e-6, nan_ok=True)
    assert class_accuracy(areas) == pytest.approx(np.asarray(values["Acc"]), abs=1e-6, nan_ok=True)
    assert figures["mIoU"] == pytest.approx(100 * np.nanmean(values["IoU"]), abs=1e-4)
    assert figures["mAcc"] == pytest.approx(100 * np.nanmean(values["Acc"]), abs=1e-4)
    assert figures["aAcc"] == pytest.approx(100 * float(values["aAcc"]), abs=1e-4)


def detectron2(matrix, strict):
    """Plain loops for the rule of detectron2's evaluator of semantic segmentation."""
    ious, accuracies, weighted, counted = [], [], 0.0, 0
    for c in range(len(matrix)):
        right, labeled, predicted = matrix[c, c], matrix[c].sum(), matrix[:, c].sum()
        counted += (labeled + predicted > 0) if strict else (labeled > 0)
        if labeled > 0:
            ious.append(right / (labeled + predicted - right))
            accuracies.append(right / labeled)
            weighted += ious[-1] * labeled / matrix.sum()
    return 100 * sum(ious) / counted, 100 * weighted, 100 * sum(accuracies) / len(accuracies)


@pytest.mark.parametrize("seed", range(3))
def test_both_means_of_detectron2(seed):
    prediction, label = random_maps(seed, 9, absent=(2, 5))
    figures = summary(area_counts(prediction, label, 11))
    matrix = confusion_matrix(prediction, label, 11)
    strict, weighted, accuracy = detectron2(matrix, strict=True)
    loose, *_ = detectron2(matrix, strict=False)
    assert loose > strict + 1
    assert figures["mIoU"] == pytest.approx(strict, abs=1e-9)
    assert figures["mIoU_labeled_classes"] == pytest.approx(loose, abs=1e-9)
    assert figures["fwIoU"] == pytest.approx(weighted, abs=1e-9)
    assert figures["mAcc"] == pytest.approx(accuracy, abs=1e-9)


def test_sixteen_bit_labels_with_a_class_255():
    prediction, label = random_maps(0, 847, ignore=65535)
    prediction[0, 0] = label[0, 0] = 255
    areas = area_counts(prediction.astype(np.uint16), label.astype(np.uint16), 847, 65535)
    assert areas[0, 255] >= 1
    assert areas[2].sum() == (label != 65535).sum()


def test_the_confusion_matrix_holds_the_areas():
    prediction, label = random_maps(4, 6)
    matrix = confusion_matrix(prediction, label, 6)
    areas = np.stack([matrix.diagonal(), matrix.sum(0), matrix.sum(1)])
    assert matrix.dtype == np.int64
    assert np.array_equal(areas, area_counts(prediction, label, 6))
