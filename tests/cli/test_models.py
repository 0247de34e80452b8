import json

import pytest

from ovseg.cli import main
from ovseg.zoo import DEFAULT_MODEL, MODELS


def test_the_table_has_every_model_and_marks_the_default(capsys):
    assert main(["models"]) == 0
    table = capsys.readouterr().out
    for name in MODELS:
        assert f"\n{name} " in table
    assert f"\n{DEFAULT_MODEL} *" in table
    assert "clip_tiny.safetensors" in table


@pytest.mark.parametrize("pattern", ["maskclip-t*", "askclip-tin"])
def test_a_pattern_or_a_part_of_a_name(capsys, pattern):
    assert main(["models", pattern, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["present"], row["default"]) == ("maskclip-tiny", True, False)
    assert row["weights"][0]["path"].endswith("clip_tiny.safetensors")


def test_absent_weights(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert main(["models", "maskclip-vit-l14", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["present"] is False
    assert row["weights"][0]["sha256"] in row["weights"][0]["source"]


def test_no_match(capsys):
    assert main(["models", "yolo*"]) == 2
    assert "maskclip-tiny" in capsys.readouterr().err
