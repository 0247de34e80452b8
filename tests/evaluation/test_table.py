"""Results side by side with the published figures."""

import csv
import json

import pytest

from ovseg.cli import main
from ovseg.evaluation.published import published
from ovseg.evaluation.table import csv_text, markdown, table_rows

RESULT = {
    "config": "configs/maskclip/maskclip_vit_b16_original_voc20.py",
    "name": "Pascal VOC 2012 (20 objects)",
    "partial": False,
    "mIoU": 49.13,
    "aAcc": 70.0,
    "mAcc": 60.0,
    "zero_iou_rate": 5.0,
    "classes_counted": 20,
    "images": 1449,
    "vocabulary": {"name": "voc20_maskclip"},
    "vocabulary_hash": "abcdef123456",
    "weights_hash": "fedcba654321",
}


def test_the_published_figure_stands_beside_a_whole_result():
    (row,) = table_rows([RESULT])
    assert row["configuration"] == "maskclip_vit_b16_original_voc20"
    assert (row["mIoU"], row["published"], row["difference"]) == ("49.13", "49.5", "-0.4")
    assert row["vocabulary"] == "voc20_maskclip abcdef123456"
    assert row["zero-IoU classes"] == "5.0 % of 20"


def test_a_partial_result_is_not_set_against_a_published_figure():
    name = "partial: 3 images of Pascal VOC 2012 (20 objects), which has 1449"
    (row,) = table_rows([{**RESULT, "partial": True, "name": name}])
    assert (row["published"], row["difference"]) == ("", "")
    assert row["data"] == name


def test_markdown_and_csv_hold_the_same_cells():
    rows = table_rows([RESULT, {**RESULT, "config": "x/own.py"}])
    assert list(csv.DictReader(csv_text(rows).splitlines())) == rows
    cells = [line.strip("| ").split(" | ") for line in markdown(rows).splitlines()]
    assert cells[2][0] == rows[0]["configuration"]
    assert len(cells) == 4


def test_the_verb_prints_and_writes(tmp_path, capsys):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(RESULT))
    outs = [tmp_path / "table.md", tmp_path / "table.csv"]
    assert main(["table", str(path), "-o", str(outs[0]), "-o", str(outs[1])]) == 0
    assert capsys.readouterr().out == outs[0].read_text()
    assert outs[1].read_text().startswith("configuration,")


@pytest.mark.parametrize(
    ("content", "flags", "status", "message"),
    [
        ("{", [], 1, "cannot be read"),
        ("[]", [], 1, "no config, name, mIoU"),
        ("{}", [], 1, "result.json of 'ovseg test'"),
        (json.dumps(RESULT), ["-o", "table.xls"], 2, "expected .md or .csv"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, capsys, content, flags, status, message):
    path = tmp_path / "result.json"
    path.write_text(content)
    assert main(["table", str(path), *flags]) == status
    assert message in capsys.readouterr().err


def test_every_published_figure_has_a_source():
    assert all(0 < figure.miou < 100 and figure.source for figure in published().values())
