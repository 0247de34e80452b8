import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "__main__.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quick_run_writes_a_table_and_json(benchmark, tmp_path, capsys):
    report = tmp_path / "report.json"
    sections = ["text", "decode", "classes", "windows", "heads", "dense", "training", "stages"]
    sections += ["regions", "evaluation"]
    assert benchmark.main([*sections, "--quick", "--json", str(report)]) == 0
    data = json.loads(report.read_text())
    rows = data["rows"]
    assert {"ovseg", "torch", "threads", "cores"} <= set(data["environment"])
    assert {row["section"] for row in rows} == set(sections)
    assert all(row["seconds"] > 0 and row["peak_mb"] >= 0 for row in rows)
    assert [row["case"] for row in rows if row["section"] == "text"] == ["full", "cut", "cached"]
    shares = {row["case"]: row["times"] for row in rows if row["section"] == "heads"}
    assert shares["maskclip"] == 1
    assert set(shares) == {"maskclip", "dinoiser", "direct"}
    ways = {row["case"].split(",")[0] for row in rows if row["section"] == "decode"}
    assert ways == {"ours", "labels", "plain"}
    assert len(capsys.readouterr().out.splitlines()) == len(rows) + 1


def test_command_line_section_tells_the_share_of_imports(benchmark, tmp_path):
    report = tmp_path / "report.json"
    assert benchmark.main(["cli", "--quick", "--json", str(report)]) == 0
    total, imports = json.loads(report.read_text())["rows"]
    assert 0 < imports["seconds"] < total["seconds"]
    assert 0 < imports["share"] < 1


def test_unknown_section(benchmark, capsys):
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(["dekode"])
    assert "decode" in capsys.readouterr().err


def test_a_failed_case_is_a_row_and_an_exit_status(benchmark, capsys):
    assert benchmark.main(["cli", "--model", "no-such-model"]) == 1
    assert "no-such-model" in capsys.readouterr().out
