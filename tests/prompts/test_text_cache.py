"""Text vectors on disk: sound under damage and in company (rows 83, 91)."""

from __future__ import annotations

import multiprocessing
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from ovseg.prompts.text_cache import Row, TextCache, default_cache_dir

WIDTH = 6


@pytest.fixture
def cache(tmp_path: Path) -> TextCache:
    return TextCache(tmp_path / "bank" / "a.safetensors")


def rows(*names: str) -> dict[str, Row]:
    return {name: Row(torch.full((WIDTH,), float(ord(name[0]))), "") for name in names}


def test_rows_come_back(cache: TextCache) -> None:
    assert cache.read(["cat"]) == {}
    cache.write(rows("cat", "猫", "dog"))
    cache.write({"long": Row(torch.ones(WIDTH), "the end")})
    found = cache.read(["dog", "long", "cow", "猫"])
    assert set(found) == {"dog", "long", "猫"}
    assert torch.equal(found["dog"].vector, torch.full((WIDTH,), float(ord("d"))))
    assert found["long"].cut == "the end"


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "foreign"])
def test_damaged_file_is_replaced_with_a_notice(cache: TextCache, damage: str) -> None:
    cache.write(rows("cat", "dog"))
    path = cache.path
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[-1] ^= 1
    changed = {
        "empty": b"",
        "cut": data[:-7],
        "flipped": bytes(flipped),
        "text": b"hello" * 9,
        "foreign": save({"vectors": torch.ones(2, WIDTH)}),
    }
    path.write_bytes(changed[damage])
    with pytest.warns(UserWarning, match="damaged text cache"):
        assert cache.read(["cat"]) == {}
    assert not path.exists()
    cache.write(rows("cat", "dog"))
    assert set(cache.read(["cat"])) == {"cat"}


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = TextCache(tmp_path / "file" / "a.safetensors")
    with pytest.warns(UserWarning, match="text vectors are not kept"):
        cache.write(rows("cat"))
    assert cache.read(["cat"]) == {}


def write_and_read(cache: TextCache, who: str) -> None:
    warnings.simplefilter("error")
    for i in range(60):
        cache.write({**rows("both"), f"{who} {i}": Row(torch.full((WIDTH,), float(i)), "")})
        assert "both" in cache.read(["both", f"{who} {i}"])


def test_two_processes_lose_nothing(cache: TextCache) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=write_and_read, args=(cache, who)) for who in ("one", "two")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(100)
    assert [worker.exitcode for worker in workers] == [0, 0]
    names = [f"{who} {i}" for who in ("one", "two") for i in range(60)]
    found = cache.read(names)
    assert set(found) == set(names)
    assert found["two 41"].vector[0] == 41
    assert not list(cache.path.parent.glob(".ovseg-*"))


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path / "text"
    monkeypatch.delenv("OVSEG_CACHE")
    assert default_cache_dir() == Path.home() / ".cache" / "ovseg" / "text"
