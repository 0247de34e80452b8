"""The generated configurations are what the zoo and the table of data sets say."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from mmengine.config import Config

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def writer(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("write_configs")


def test_all_are_up_to_date(writer):
    stale = [str(path) for path in writer.out_of_date()]
    assert not stale, f"run: python tools/write_configs.py ({', '.join(stale)})"


def test_stale_missing_and_left_over_files_are_found_and_written(writer, monkeypatch, tmp_path):
    monkeypatch.setattr(writer, "CONFIGS", tmp_path)
    old, other = tmp_path / "maskclip" / "maskclip_old.py", tmp_path / "by_hand.py"
    old.parent.mkdir()
    old.write_text(f"{writer.HEADER}\nmodel = dict()\n")
    other.write_text("model = dict()\n")
    assert set(writer.out_of_date()) == {*writer.generated(), old}
    assert writer.main(["--check"]) == 1
    assert not (tmp_path / "_base_").exists()
    assert writer.main([]) == 0
    assert writer.out_of_date() == [old]
    old.unlink()
    assert writer.main(["--check"]) == 0


VALUES = [
    {"type": "A", "flag": True, "none": None, "share": 0.1, "tiny": 1e-6, "text": 'say "a"'},
    {"pair": (1, 2), "one": (1,), "empty": (), "list": [], "deep": {"a": {"b": [{"c": 1}]}}},
    {"long": ["x" * 30] * 4, "pairs": [("y" * 40, "z" * 40), (1,)], "more": {"k" * 60: "v" * 60}},
]


@pytest.mark.parametrize("value", VALUES)
def test_what_is_written_reads_back(writer, tmp_path, value):
    path = tmp_path / "a.py"
    path.write_text(writer.statement("model", value))
    assert Config.fromfile(path).model.to_dict() == value


def test_lines_end_at_the_width(writer):
    fits = {"k": "v" * (writer.WIDTH - len('name = dict(k="")'))}
    assert writer.statement("name", fits).count("\n") == 1
    assert writer.statement("names", fits) == f'names = dict(\n    k="{fits["k"]}",\n)\n'


def test_settings_of_one_data_set_lie_over_the_model(writer):
    below = {"type": "M", "head": {"a": 1, "b": {"c": 2}}, "plain": 3}
    above = {"head": {"b": {"d": 4}}, "plain": {"e": 5}}
    expected = {"type": "M", "head": {"a": 1, "b": {"c": 2, "d": 4}}, "plain": {"e": 5}}
    assert writer.merged(below, above) == expected
    assert below["head"] == {"a": 1, "b": {"c": 2}}


def test_comments_wrap_but_commands_stay(writer):
    lines = writer.comment(f"{'word ' * 40}\n    a command").splitlines()
    assert lines[-1] == "#     a command"
    assert len(lines) == 4
    assert all(line.startswith("# word") and len(line) <= writer.WIDTH for line in lines[:-1])
    assert writer.comment("") == ""
