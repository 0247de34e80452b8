"""Text vectors on disk: sound under damage, strangers and company (rows 83, 91)."""

from __future__ import annotations

import multiprocessing
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from ovseg.prompts.text_cache import Row, TextCache, _name, default_cache_dir

WIDTH = 6


@pytest.fixture
def probe() -> Tensor:
    return torch.nn.functional.normalize(torch.arange(1.0, WIDTH + 1), dim=0)


@pytest.fixture
def cache(tmp_path: Path, probe: Tensor) -> TextCache:
    return TextCache(tmp_path / "bank", probe)


def rows(*names: str) -> dict[str, Row]:
    return {name: Row(torch.full((WIDTH,), float(ord(name[0]))), "") for name in names}


def shards(cache: TextCache) -> list[Path]:
    return sorted(cache.folder.glob("*.safetensors"))


def test_rows_come_back(cache: TextCache) -> None:
    assert cache.read(["cat"]) == {}
    cache.write(rows("cat", "猫", "dog"))
    cache.write({"long": Row(torch.ones(WIDTH), "the end")})
    found = cache.read(["dog", "long", "cow", "猫"])
    assert set(found) == {"dog", "long", "猫"}
    assert torch.equal(found["dog"].vector, torch.full((WIDTH,), float(ord("d"))))
    assert found["long"].cut == "the end"


def test_adding_a_row_writes_one_small_file(cache: TextCache) -> None:
    cache.write(rows(*(f"thing {i}" for i in range(500))))
    (large,) = shards(cache)
    before = large.read_bytes()
    cache.write(rows("cat"))
    (small,) = set(shards(cache)) - {large}
    assert large.read_bytes() == before
    assert small.stat().st_size < 1000


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "foreign"])
def test_damaged_file_is_replaced_with_a_notice(cache: TextCache, damage: str) -> None:
    cache.write(rows("cat", "dog"))
    (path,) = shards(cache)
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
    if damage == "foreign":
        path = path.rename(path.with_name(_name(changed[damage])))
    with pytest.warns(UserWarning, match="damaged text cache"):
        assert cache.read(["cat"]) == {}
    assert shards(cache) == []
    cache.write(rows("cat", "dog"))
    assert set(cache.read(["cat"])) == {"cat"}


def test_rows_of_another_tower_are_left_alone(cache: TextCache, probe: Tensor) -> None:
    cache.write(rows("cat"))
    stranger = TextCache(cache.folder, probe.flip(0))
    assert stranger.read(["cat"]) == {}
    stranger.write({"cat": Row(torch.zeros(WIDTH), "")})
    assert cache.read(["cat"])["cat"].vector[0] == ord("c")
    assert stranger.read(["cat"])["cat"].vector[0] == 0


def test_many_files_are_joined(cache: TextCache, probe: Tensor) -> None:
    stranger = TextCache(cache.folder, probe.flip(0))
    stranger.write(rows("other"))
    names = [f"{chr(97 + i % 26)}{i}" for i in range(40)]
    for name in names:
        cache.write(rows(name))
    assert len(shards(cache)) < 32
    assert set(cache.read(names)) == set(names)
    assert set(stranger.read(["other"])) == {"other"}


def test_folder_that_cannot_be_written(tmp_path: Path, probe: Tensor) -> None:
    (tmp_path / "file").write_text("")
    cache = TextCache(tmp_path / "file" / "bank", probe)
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
    assert not list(cache.folder.glob(".ovseg-*"))


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path / "text"
    monkeypatch.delenv("OVSEG_CACHE")
    assert default_cache_dir() == Path.home() / ".cache" / "ovseg" / "text"
