"""Hostile and damaged files of weights, read in guarded child processes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ovseg.errors import CheckpointError
from ovseg.weights.read import read_checkpoint, read_state_dict
from tests.hostile_files import PICKLES, write_all, write_torchscript

READER = Path(__file__).parents[1] / "guarded_reader.py"
HARMLESS = {"inner.pt", "integer_keys.pkl", "zip_in_zip.pt"}
STATE = {"a.weight": torch.arange(600.0).reshape(20, 30), "a.bias": torch.zeros(2).half()}


def guarded(folder: Path, *words: str) -> list[dict]:
    """What a child process with limits reports of each file."""
    done = subprocess.run(
        [sys.executable, str(READER), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_the_whole_corpus_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    files = write_all(tmp_path)
    assert len(files) >= 60
    reports = guarded(tmp_path, *[str(file) for file in files])
    assert len(reports) == len(files)
    for report in reports:
        assert report["fits"], report
        expected = "read" if report["name"] in HARMLESS else "refused"
        assert report["outcome"].startswith(expected), report
    assert not (tmp_path / "CANARY").exists()


def write_archive(path: Path) -> None:
    torch.save({"state_dict": STATE, "epoch": 3, "history": np.arange(50.0)}, path)


def write_chain(path: Path) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=False)


def write_safetensors(path: Path) -> None:
    save_file(STATE, path)


def write_arrays(path: Path) -> None:
    arrays = {name: value.numpy() for name, value in STATE.items()}
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}, protocol=2))


def write_module(path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.BatchNorm1d(20)).eval()
    torch.jit.trace(module, torch.zeros(1, 30)).save(str(path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "suffix"),
    [
        (write_archive, ".pt"),
        (write_chain, ".pth"),
        (write_safetensors, ".safetensors"),
        (write_arrays, ".pkl"),
        (write_module, ".jit"),
    ],
    ids=["archive", "chain", "safetensors", "arrays", "torchscript"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_mutants_give_tensors_or_our_error(tmp_path: Path, write, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    write(whole)
    assert len(read_state_dict(whole)) >= 2
    reports = guarded(tmp_path, "--mutants", "400", "14", str(whole))
    assert len(reports) == 400
    faults = [one for one in reports if one["outcome"].startswith("unexpected") or not one["fits"]]
    assert not faults
    # Were every mutant read, or none, the mutants would say nothing.
    assert {one["outcome"][:4] for one in reports} == {"read", "refu"}


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_the_hostile_torchscript_is_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_torchscript(tmp_path)
    path = tmp_path / "torchscript_with_setstate.pt"
    with pytest.raises(CheckpointError, match="restores itself by code"):
        read_state_dict(path)
    assert not Path("CANARY").exists()
    torch.jit.load(str(path))
    assert Path("CANARY").read_bytes() == b"evil"


@pytest.mark.slow
@pytest.mark.parametrize("data", [PICKLES["pointer_as_object"], PICKLES["structure_denies_object"]])
def test_torch_lets_no_name_of_numpy_through_after_our_import(tmp_path: Path, data: bytes) -> None:
    import ovseg.mm  # noqa: F401

    assert not [one for one in torch.serialization.get_safe_globals() if "numpy" in str(one)]
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(CheckpointError, match="refused"):
        read_checkpoint(tmp_path / "a.pkl")


@pytest.mark.parametrize("code", ["f2", "f4", ">f4", ">i8", "u1", "i8", "bool", "u8"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_arrays_of_any_protocol_and_byte_order(tmp_path: Path, code: str, protocol: int):
    array = np.arange(6).reshape(2, 3).astype(code)
    content = {"c": array, "fortran": np.asfortranarray(array), "flat": array[0, :0]}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_state_dict(tmp_path / "a.pkl")
    assert found.keys() == content.keys()
    for name, value in content.items():
        assert found[name].numpy().tolist() == value.tolist()
        assert found[name].numpy().dtype == array.dtype.newbyteorder("=")


def test_views_of_one_storage_stay_views(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    torch.save({"whole": whole, "column": whole[:, 1], "turned": whole.t()}, tmp_path / "w.pt")
    found = read_state_dict(tmp_path / "w.pt")
    assert found["column"].tolist() == [1.0, 7.0, 13.0, 19.0]
    assert torch.equal(found["turned"], whole.t())
    assert found["column"].untyped_storage().data_ptr() == (
        found["whole"].untyped_storage().data_ptr()
    )
    found["whole"].zero_()
    assert torch.equal(read_state_dict(tmp_path / "w.pt")["whole"], whole)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.bool, torch.int32, torch.complex64])
@pytest.mark.parametrize("zipped", [True, False])
def test_kinds_of_numbers(tmp_path: Path, kind: torch.dtype, zipped: bool) -> None:
    state = {"w": torch.tensor([0, 1, 1]).to(kind), "empty": torch.zeros(0, 3).to(kind)}
    torch.save(state, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    found = read_state_dict(tmp_path / "w.pt")
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_archives_of_openai_load_bit_for_bit(tmp_path: Path) -> None:
    """The layout of OpenAI's files: a traced CLIP in half precision, numbers among its buffers."""
    import open_clip

    tower = {"layers": 2, "width": 64, "patch_size": 16, "image_size": 32}
    words = {"context_length": 8, "vocab_size": 50, "width": 64, "heads": 2, "layers": 2}
    clip = open_clip.CLIP(32, tower, words, quick_gelu=True).eval().half().float()
    for name in ("input_resolution", "context_length", "vocab_size"):
        if hasattr(clip, name):
            delattr(clip, name)
        clip.register_buffer(name, torch.tensor(32))
    inputs = torch.zeros(1, 3, 32, 32), torch.zeros(1, 8, dtype=torch.long)
    torch.jit.trace(clip, inputs, check_trace=False).half().save(str(tmp_path / "ViT.pt"))
    with zipfile.ZipFile(tmp_path / "ViT.pt") as archive:
        assert any(name.startswith("ViT/code/") for name in archive.namelist())
    expected = torch.jit.load(str(tmp_path / "ViT.pt")).state_dict()
    found = read_state_dict(tmp_path / "ViT.pt", check_finite=False)  # its mask is infinite
    left_out = {"input_resolution", "context_length", "vocab_size"}
    assert found.keys() == expected.keys() - left_out
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name])
