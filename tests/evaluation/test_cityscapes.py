"""Cityscapes as its own evaluator scores it.

`data/cityscapes.json` holds random label maps in Cityscapes' label ids and what cityscapesScripts
2.3.0 gave for them. That package does not run on today's numpy, so it is no dependency.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from ovseg.evaluation.confusion import area_counts, confusion_matrix
from ovseg.evaluation.scores import class_iou, mean_percent

REFERENCE = json.loads((Path(__file__).parent / "data" / "cityscapes.json").read_text())
LABEL_IDS = REFERENCE["label_ids"]


@pytest.fixture(scope="module")
def maps():
    """Predictions and labels as train ids, 255 where the label does not count."""
    table = np.full(256, 255)
    table[LABEL_IDS] = range(19)
    pairs = zip(REFERENCE["predictions"], REFERENCE["labels"], strict=True)
    return [(table[p], table[t]) for p, t in pairs]


def test_equal_to_cityscapesscripts(maps):
    iou = class_iou(sum(area_counts(p, t, 19) for p, t in maps))
    expected = [np.nan if v is None else v for v in REFERENCE["classIoU"].values()]
    assert iou == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert mean_percent(iou) == pytest.approx(100 * REFERENCE["averageIoU"], abs=1e-9)


def published_rule(matrix, c):
    """IoU of a class: rows of the matrix are labels; false positives from scored labels only."""
    right = matrix[c, c]
    missed = matrix[c].sum() - right
    false = sum(matrix[other, c] for other in range(len(matrix)) if other != c)
    return right / (right + missed + false) if right + missed + false else np.nan


def test_equal_to_the_published_rule(maps):
    matrix = sum(confusion_matrix(p, t, 19) for p, t in maps)
    expected = [published_rule(matrix, c) for c in range(19)]
    iou = class_iou(sum(area_counts(p, t, 19) for p, t in maps))
    assert iou == pytest.approx(expected, abs=1e-12, nan_ok=True)
