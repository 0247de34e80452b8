"""The pages of figures are what the configurations, published figures and results say."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHOLE = {
    "config": "configs/maskclip/maskclip_vit_b16_original_voc20.py",
    "name": "Pascal VOC 2012 (20 objects)",
    "partial": False,
    "mIoU": 49.13,
    "aAcc": 70.0,
    "mAcc": 60.0,
    "classes_counted": 20,
    "images": 1449,
    "vocabulary_hash": "abc",
    "weights_hash": "def",
}


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["report_benchmarks", "report_scenes"])
def test_pages_are_up_to_date(name):
    tool = script(name)
    assert tool.PAGE.read_text("utf-8") == tool.page(), f"run: python tools/{name}.py"


def line_of(page, name):
    return next(line for line in page.splitlines() if line.startswith(f"| {name} "))


def test_only_whole_results_count_as_measured(tmp_path):
    tool = script("report_benchmarks")
    (tmp_path / "a.json").write_text(json.dumps(WHOLE))
    partial = {**WHOLE, "partial": True, "config": "maskclip_vit_b16_original_context59.py"}
    (tmp_path / "b.json").write_text(json.dumps(partial))
    page = tool.page(tmp_path)
    assert "49.13 (vocabulary abc, weights def)" in line_of(page, "maskclip_vit_b16_original_voc20")
    other = line_of(page, "maskclip_vit_b16_original_context59")
    assert "not yet run with the true weights | 21.7" in other
    assert all(f"| {n} " in page for names in tool.configurations().values() for n in names)


def test_the_drawn_page_shows_what_was_measured_and_what_was_not(tmp_path):
    tool = script("report_scenes")
    result = {**WHOLE, "config": "configs/scenes/maskclip_tiny.py"}
    (tmp_path / "maskclip_tiny.json").write_text(json.dumps(result))
    page = tool.page(tmp_path)
    assert "49.13" in line_of(page, "maskclip_tiny")
    missing = page.rpartition("Not measured yet: ")[2].rstrip(".\n").split(", ")
    assert missing == [name for name in tool.names() if name != "maskclip_tiny"]
