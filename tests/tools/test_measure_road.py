"""The counting of a road, and the reading of imports, on what can be counted by hand."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import ovseg

TOOLS = Path(__file__).parents[2] / "tools"
SOURCES = {
    "pkg/__init__.py": "from pkg.low import helper\n",
    "pkg/low.py": "",
    "pkg/up/__init__.py": "def name(): ...\n",
    "pkg/up/name.py": "import os\nimport pkg.low\n",
    "pkg/up/one.py": "from pkg.up import name, two\n",
    "pkg/up/two.py": (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from pkg.up.name import x\n"
        "def late():\n    from pkg.up.one import y\n"
    ),
}


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("package_imports"), importlib.import_module("measure_road")


@pytest.fixture
def found(tools, tmp_path):
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tools[0].imports(tools[0].modules(tmp_path / "pkg"))


def test_imports_are_read_with_line_target_and_time(found):
    assert sorted(tuple(each) for each in found) == [
        ("pkg", 1, "pkg.low", "import"),
        ("pkg.up.name", 2, "pkg.low", "import"),
        ("pkg.up.one", 1, "pkg.up", "import"),
        ("pkg.up.one", 1, "pkg.up.two", "import"),
        ("pkg.up.two", 3, "pkg.up.name", "typing"),
        ("pkg.up.two", 5, "pkg.up.one", "call"),
    ]


def test_circles(tools, found):
    circles, room = tools[0].circles, tools[0].room
    top = [(each.module, each.target) for each in found if each.when == "import"]
    assert circles(top) == []
    every = [(each.module, each.target) for each in found]
    assert circles(every) == [["pkg.up.one", "pkg.up.two"]]
    assert circles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "e")]) == [
        ["a", "b", "c"]
    ]
    assert (room("pkg.up.one"), room("pkg.up"), room("pkg")) == ("up", "up", "pkg")


def test_a_road_counts_named_functions_and_changes_between_files(tools):
    ovseg.list_models()
    model = ovseg.zoo.model_entry("maskclip-tiny")
    road = tools[1].walk(lambda: sorted(map(lambda _: model.needs() and model.license(), range(3))))
    assert {Path(name).name for name in road.files} == {"entry.py"}
    assert road.figures() == {"files": 1, "functions": 2, "changes": 0}
    road = tools[1].walk(lambda: model.weights[0].path() and ovseg.Vocabulary.builtin("voc20"))
    assert {"download.py", "vocabulary.py"} <= {Path(name).name for name in road.files}
    assert road.changes > 0


def test_figures_become_a_table(tools):
    measure = tools[1]
    bars = measure.BARS["model.segment"]
    road = {"files": 1, "functions": 2, "changes": 0, "bars": bars}
    figures = {
        "roads": {"model.segment": road},
        "package": {"files": 2, "lines": 7, "median": 3.5, "largest": ["pkg/a.py", 5]},
        "circles": {"modules": [], "rooms": [["a", "b"]]},
    }
    lines = measure.table(figures).splitlines()
    assert lines[1].split() == ["model.segment", "1", "(16)", "2", "0", "(51)"]
    assert lines[-3:] == ["circles of modules: none", "circles of rooms: 1", "    a, b"]
