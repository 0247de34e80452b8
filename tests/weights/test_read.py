"""Reading weight files: every kind that is taken, every damage that is named."""

from __future__ import annotations

import contextlib
import pickle
import random
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ovseg.errors import CheckpointError
from ovseg.weights.read import (
    hash_state,
    is_torchscript,
    read_shapes,
    read_state_dict,
    reading_once,
    sha256,
)

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor] = STATE) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) for name in found
    )


def torchscript(path: Path, scripted: bool) -> Path:
    """An archive as OpenAI publishes CLIP: half precision, three numbers among the weights."""

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 2).half()
            for name in ("input_resolution", "context_length", "vocab_size"):
                self.register_buffer(name, torch.tensor(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x)

    module = Tiny()
    module.a.load_state_dict({"weight": STATE["a.weight"], "bias": STATE["a.bias"]})
    if scripted:
        torch.jit.script(module).save(str(path))
    else:
        torch.jit.trace(module, torch.zeros(1, 3).half()).save(str(path))
    return path


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    assert same(read_state_dict(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_file_of_plain_tensors(tmp_path: Path, zipped: bool) -> None:
    torch.save(STATE, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    assert same(read_state_dict(str(tmp_path / "w.pth")))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("scripted", [True, False])
def test_torchscript_archive_of_openai(tmp_path: Path, scripted: bool) -> None:
    path = torchscript(tmp_path / "ViT.pt", scripted)
    assert is_torchscript(path)
    found = read_state_dict(path)
    assert same(found, {name: value.half() for name, value in STATE.items()})


def test_what_is_no_torchscript(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pth")
    (tmp_path / "text").write_text("hello")
    assert not any(is_torchscript(tmp_path / name) for name in ("w.pth", "text", "absent", ""))


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "module"])
def test_wrappers_come_off(tmp_path: Path, key: str) -> None:
    inner = {f"module.{name}": value for name, value in STATE.items()}
    torch.save({"epoch": 3, key: inner, "optimizer": {"lr": 0.1}}, tmp_path / "w.pt")
    assert same(read_state_dict(tmp_path / "w.pt"))


def test_moving_average_goes_before_the_last_step(tmp_path: Path) -> None:
    other = {name: value + 1 for name, value in STATE.items()}
    torch.save({"state_dict": other, "state_dict_ema": STATE}, tmp_path / "w.pt")
    assert same(read_state_dict(tmp_path / "w.pt"))


def test_something_beside_tensors_is_left(tmp_path: Path) -> None:
    torch.save(STATE | {"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="epoch"):
        read_state_dict(tmp_path / "w.pt")


class Runs:
    """Its pickle would run code when loaded."""

    def __reduce__(self) -> tuple:
        return (print, ("this must never be printed",))


def refused_pickle(path: Path) -> None:
    torch.save({"a": torch.zeros(1), "evil": Runs()}, path)


def refused_plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"evil": Runs()}, protocol=2))


def refused_new_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"evil": Runs()}, protocol=4))


def cut_safetensors(path: Path) -> None:
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-5])


def cut_safetensors_header(path: Path) -> None:
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:40])


def cut_zip(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-100])


def cut_pickle(path: Path) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-8])


def endless_header(path: Path) -> None:
    path.write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)


def pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n")


def web_page(path: Path) -> None:
    path.write_text("\n<!DOCTYPE html><html><body>Please log in</body></html>")


def not_a_number(path: Path) -> None:
    save_file(STATE | {"a.bias": torch.tensor([0.0, float("nan")])}, path)


def leaves_the_folder(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.pkl", b"")


def text(path: Path) -> None:
    path.write_text("these are no weights")


def absent(path: Path) -> None:
    assert not path.exists()


DAMAGES = [
    (refused_pickle, "w.pt", ["refused", "__builtin__.print", "sandbox", "safetensors"]),
    (refused_plain_pickle, "w.pkl", ["refused", "print"]),
    (refused_new_pickle, "w.pkl", ["refused", "print"]),
    (cut_safetensors, "w.safetensors", ["bytes", "expected", "download it again"]),
    (cut_safetensors_header, "w.safetensors", ["40 bytes", "expected"]),
    (endless_header, "w.safetensors", ["damaged", "header"]),
    (cut_zip, "w.pt", ["cut short at", "bytes", "expected"]),
    (cut_pickle, "w.pth", ["damaged", "bytes"]),
    (pointer, "w.safetensors", ["Git LFS pointer", "git lfs pull"]),
    (web_page, "w.pt", ["web page"]),
    (not_a_number, "w.safetensors", ["1 of 2 values of a.bias", "NaN"]),
    (leaves_the_folder, "w.pt", ["refused", "../../evil.pkl"]),
    (text, "w.pt", ["damaged", "expected safetensors"]),
    (Path.touch, "w.pt", ["empty"]),
    (Path.mkdir, "w.pt", ["folder"]),
    (absent, "w.pt", ["no such weights file"]),
]


@pytest.mark.parametrize(
    ("damage", "name", "words"), DAMAGES, ids=[damage.__name__ for damage, *_ in DAMAGES]
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_files(tmp_path: Path, capsys, damage, name: str, words: list[str]) -> None:
    path = tmp_path / name
    damage(path)
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(path)
    for word in [*words, str(path)]:
        assert word in str(caught.value)
    assert "never be printed" not in capsys.readouterr().out


def plain(path: Path) -> None:
    torch.save(STATE, path)


def plain_before_zip(path: Path) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=False)


def traced(path: Path) -> None:
    torchscript(path, scripted=False)


def safe(path: Path) -> None:
    save_file(STATE, path)


@pytest.mark.parametrize("make", [plain, plain_before_zip, traced, safe], ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore")
def test_flipped_bits_give_tensors_or_our_error(tmp_path: Path, make) -> None:
    whole, path = tmp_path / "whole.safetensors", tmp_path / "w.pt"
    make(whole)
    rng = random.Random(0)
    for _ in range(60):
        data = bytearray(whole.read_bytes())
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with contextlib.suppress(CheckpointError):
            read_state_dict(path)


def test_values_that_are_not_finite_may_be_let_through(tmp_path: Path) -> None:
    not_a_number(tmp_path / "w.safetensors")
    assert len(read_state_dict(tmp_path / "w.safetensors", check_finite=False)) == 2


def test_hashes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256(tmp_path / "f").startswith("ba7816bf8f01cfea")
    assert hash_state(STATE) == hash_state(dict(reversed(STATE.items())))
    assert hash_state(STATE) != hash_state(STATE | {"a.bias": torch.ones(2)})
    assert hash_state({"scalar": torch.tensor(1.0, dtype=torch.bfloat16)})


def test_shapes_are_read_without_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = {"a.weight": (2, 3), "a.bias": (2,)}
    wrapped = {f"module.{name}": each for name, each in STATE.items()}
    torch.save({"state_dict": wrapped}, tmp_path / "w.pth")
    assert read_shapes(tmp_path / "w.pth") == shapes
    assert read_shapes(torchscript(tmp_path / "w.pt", scripted=True)) == shapes
    save_file(wrapped, tmp_path / "w.safetensors")
    monkeypatch.setattr("safetensors.torch.load_file", None)
    assert read_shapes(tmp_path / "w.safetensors") == shapes


@pytest.mark.parametrize(
    "header",
    [b"{", b"[]", b'{"a": 1}', b'{"a": {"data_offsets": [0, 0]}}', b'{"a": {"shape": [0]}}'],
)
def test_shapes_of_a_damaged_header(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError, match="damaged safetensors file"):
        read_shapes(path)


def test_reading_once_ends_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(STATE, path)
    with reading_once():
        first = read_state_dict(path)
        first.pop("a.bias")
        save_file({"b": torch.zeros(1)}, path)
        again = read_state_dict(path)
        assert same(again)
        assert again["a.weight"] is first["a.weight"]
    assert same(read_state_dict(path), {"b": torch.zeros(1)})
