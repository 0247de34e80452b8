"""`ovseg convert-weights`: safe reading, whole files (bad input 52)."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from ovseg.cli import main


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("converted-by-force",)


def save(path, extra):
    weights = {"layer.weight": torch.arange(6.0).view(2, 3), "step": torch.tensor(4)}
    torch.save({"state_dict": weights, **extra}, path)
    return weights


def test_weights_come_out_as_safetensors(tmp_path, capsys):
    weights = save(tmp_path / "a.pth", {})
    assert main(["convert-weights", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]) == 0
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert "2 tensors" in capsys.readouterr().out


def test_names_of_open_clip(tmp_path):
    state = {"visual.blocks.0.mlp.w1.bias": torch.ones(2), "visual.rope.freqs_cos": torch.ones(2)}
    torch.save({"state_dict": state}, tmp_path / "a.pt")
    target = tmp_path / "a.safetensors"
    assert main(["convert-weights", str(tmp_path / "a.pt"), str(target), "--open-clip"]) == 0
    assert set(load_file(target)) == {"visual.trunk.blocks.0.mlp.fc1_g.bias"}


def test_what_training_leaves_beside_the_weights_is_read_over(tmp_path):
    extra = {
        "epoch": np.float64(3.5),
        "args": argparse.Namespace(lr=0.1, out=Path("work")),
        "history": np.arange(3),
    }
    save(tmp_path / "a.pth", extra)
    assert main(["convert-weights", str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors")]) == 0
    assert set(load_file(tmp_path / "b.safetensors")) == {"layer.weight", "step"}


def test_code_is_refused_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.pth", {"extra": Hostile()})
    assert main(["convert-weights", "a.pth", "b.safetensors"]) == 1
    assert "refused" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["a.pth"]


def test_half_precision_and_overwriting(tmp_path, capsys):
    save(tmp_path / "a.pth", {})
    words = ["convert-weights", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]
    assert main(words) == 0
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--half"]) == 0
    found = load_file(tmp_path / "a.safetensors")
    assert found["layer.weight"].dtype == torch.float16
    assert found["step"].dtype == torch.int64


def test_numbers_that_fp16_cannot_hold_are_refused(tmp_path, capsys):
    torch.save({"layer.weight": torch.tensor([1.0, 70_000.0])}, tmp_path / "a.pth")
    words = ["convert-weights", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")]
    assert main([*words, "--half"]) == 1
    assert "layer.weight holds numbers up to 70000" in capsys.readouterr().err
    assert not (tmp_path / "a.safetensors").exists()


def test_arrays_of_a_bare_pickle_are_read(tmp_path):
    content = {"model": {"stem.weight": np.ones((2, 3), np.float32)}, "__author__": "somebody"}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=2))
    assert main(["convert-weights", str(tmp_path / "a.pkl"), str(tmp_path / "b.safetensors")]) == 0
    assert load_file(tmp_path / "b.safetensors")["stem.weight"].tolist() == [[1.0] * 3] * 2


def test_code_in_a_bare_pickle_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.pkl").write_bytes(pickle.dumps({"model": Hostile()}, protocol=2))
    assert main(["convert-weights", "a.pkl", "b.safetensors"]) == 1
    assert "asks for posix.mkdir" in capsys.readouterr().err
    Path("a.pkl").write_bytes(b"\x80\x02}")
    assert main(["convert-weights", "a.pkl", "b.safetensors"]) == 1
    assert os.listdir(tmp_path) == ["a.pkl"]
