"""Results as JSON and text."""

import json

import numpy as np
import pytest

from ovseg.evaluation.report import class_figures, plain_json, result_text, write_result
from ovseg.evaluation.scores import summary

AREAS = np.array([[1, 0, 0], [2, 1, 0], [3, 0, 0]])


@pytest.fixture
def result():
    return {
        "name": "drawn",
        "images": 2,
        "missing": 1,
        "vocabulary": {"name": "x"},
        "vocabulary_hash": "abc",
        "weights_hash": "def",
        **summary(AREAS),
        **class_figures(AREAS, ("sky", "sea", "sand")),
    }


def test_undefined_figures_are_null(result, tmp_path):
    assert result["per_class_iou"] == {"sky": 25.0, "sea": 0.0, "sand": None}
    assert result["per_class_accuracy"] == {
        "sky": pytest.approx(100 / 3),
        "sea": None,
        "sand": None,
    }
    path = write_result(tmp_path, {**result, "odd": float("nan")})
    read = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert read["odd"] is None
    assert read["areas"]["label"] == [3, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "result.txt"]


def test_the_table_tells_what_was_counted(result):
    lines = result_text(result).splitlines()
    assert lines[1].split() == ["sky", "25.00", "33.33"]
    assert lines[3].split() == ["sand", "-", "-"]
    assert "2 of 3 classes counted" in lines[-2]
    assert "2 images (1 left out" in lines[-2]
    assert "abc" in lines[-1]
    assert "def" in lines[-1]


def test_only_json_comes_out():
    assert plain_json({"a": {1.5}, "b": np.int64(3), "c": np.bool_(True), "d": np.ones(2)}) == {
        "a": [1.5],
        "b": 3,
        "c": True,
        "d": [1.0, 1.0],
    }
