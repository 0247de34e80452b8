"""Every benchmark from its release's files to `result.json`, with a number computed by hand."""

import json
import runpy
import sys
from fractions import Fraction
from pathlib import Path

import mmseg
import numpy as np
import pytest
from PIL import Image

from ovseg.cli import main
from ovseg.datasets import BENCHMARKS
from tests.benchmark_files import write_benchmark

pytestmark = pytest.mark.slow

TEST_TOOL = str(Path(mmseg.__file__).parent / ".mim" / "tools" / "test.py")


def spoil(labels, classes, ignore):
    """Predictions: right in the upper half, the next class in the left of the lower half."""
    found = np.where(labels == ignore, 0, labels)
    rows, columns = labels.shape[0] // 2, labels.shape[1] // 2
    found[rows:, :columns] = (found[rows:, :columns] + 1) % classes
    return found.astype(np.int64)


def by_hand(predictions, truth, classes, ignore):
    """Mean IoU in percent, with fractions, over the classes that occur on either side."""
    ious = []
    for c in range(classes):
        shared = either = 0
        for name, labels in truth.items():
            counted = labels != ignore
            p, t = (predictions[name] == c) & counted, (labels == c) & counted
            shared, either = shared + int((p & t).sum()), either + int((p | t).sum())
        if either:
            ious.append(Fraction(shared, either))
    return float(100 * sum(ious) / len(ious)), len(ious)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_release_to_result(name, data, tmp_path, known, monkeypatch, capsys):
    row = BENCHMARKS[name]
    truth = write_benchmark(name, data, count=2)
    assert main(["prepare", name, "--root", str(data)]) == 0
    ignore = 255 if row.ignore is None else row.ignore
    found = {key: spoil(labels, row.num_classes, ignore) for key, labels in truth.items()}
    stems = {f"{Path(key).name}{row.image_suffix}"[:-4]: labels for key, labels in found.items()}
    config = known(f"{name}.py", stems)
    work = tmp_path / "work"
    assert main(["test", config, "--work-dir", str(work), "--out", str(tmp_path / "out")]) == 0
    result = json.loads((work / "result.json").read_text())
    expected, counted = by_hand(found, truth, row.num_classes, ignore)
    assert 10 < expected < 90
    assert result["mIoU"] == pytest.approx(expected, abs=1e-9)
    assert result["classes_counted"] == counted
    assert f"{counted} of {row.num_classes} classes counted" in capsys.readouterr().out
    assert len(result["per_class_iou"]) == row.num_classes
    assert result["images"] == 2
    assert result["benchmark"] is None
    assert result["name"].startswith(f"partial: 2 images of {row.title}")
    written = {path.name: np.array(Image.open(path)) for path in tmp_path.rglob("*.label.png")}
    assert len(written) == 2
    for stem, labels in stems.items():
        assert np.array_equal(written[f"{stem}.label.png"], labels)

    monkeypatch.setattr(sys, "argv", ["test.py", config, "none", "--work-dir", str(tmp_path / "m")])
    runpy.run_path(TEST_TOOL, run_name="__main__")
    (theirs,) = (tmp_path / "m").glob("*/*.json")
    assert json.loads(theirs.read_text())["mIoU"] == pytest.approx(expected, abs=1e-9)


def test_labels_off_by_one_are_caught(data, known, tmp_path, capsys):
    row = BENCHMARKS["ade20k"]
    truth = write_benchmark("ade20k", data, count=1)
    folder = data / row.root / row.labels
    for path in folder.glob("*.png"):
        Image.fromarray(np.array(Image.open(path)) + 1).save(path)
    config = known("ade20k.py", {Path(name).name: labels * 0 for name, labels in truth.items()})
    assert main(["test", config, "--work-dir", str(tmp_path / "work")]) == 1
    assert "ids out of range" in capsys.readouterr().err
    assert not (tmp_path / "work" / "result.json").exists()


def test_classes_in_another_order_are_caught(data, known, tmp_path, capsys):
    truth = write_benchmark("voc20", data, count=1)
    assert main(["prepare", "voc20", "--root", str(data)]) == 0
    names = list(reversed([row for row in _names("voc20")]))
    config = known("voc20.py", truth, f"model.update(vocabulary={names!r})\n")
    assert main(["test", config, "--work-dir", str(tmp_path / "work")]) == 2
    assert "stand in another order" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ade20k", "cityscapes", "voc20"])
def test_a_missing_folder_is_told_with_variable_flag_and_command(name, data, known, capsys):
    assert main(["test", known(f"{name}.py", {})]) == 1
    told = capsys.readouterr().err
    for word in (f"ovseg prepare {name}", "OVSEG_DATA", "data_root="):
        assert word in told


def _names(name):
    from ovseg.prompts.vocabulary import Vocabulary

    return Vocabulary.builtin(name).classes
