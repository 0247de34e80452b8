"""Files appear whole or not at all (bad inputs 21, 85, 86, 88)."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from ovseg.errors import InputError, RuntimeLimitError
from ovseg.utils import files


def test_writes_and_makes_folders(tmp_path):
    path = files.write_atomic(tmp_path / "a/b/c.bin", b"data")
    assert path.read_bytes() == b"data"
    assert [p.name for p in path.parent.iterdir()] == ["c.bin"]


def test_replaces_an_older_file(tmp_path):
    files.write_atomic(tmp_path / "a", b"old")
    files.write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_mode_is_that_of_an_ordinary_new_file(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    files.write_atomic(tmp_path / "ours", b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "ours")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["write", "replace"])
def test_full_disk_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch, code, step):
    files.write_atomic(tmp_path / "a", b"old")

    def full(*_args, **_options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fdopen" if step == "write" else "replace", full)
    with pytest.raises(RuntimeLimitError, match="the disk is full.*earlier results are intact"):
        files.write_atomic(tmp_path / "a", b"new")
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"old"}


def test_interrupt_leaves_no_rest(tmp_path, monkeypatch):
    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomic(tmp_path / "a", b"new")
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be written"):
        files.write_atomic(tmp_path / "file/a", b"")


@pytest.mark.parametrize("name", ["a", "x/y z/%s{}", "-a", "new\nline", "x" * 200])
def test_names_that_fit_stay(name):
    assert files.safe_name(name) == name


def test_long_names_are_cut_and_stay_different():
    long = [files.safe_name("ü" * 120 + end) for end in "ab"]
    assert len(set(long)) == 2
    for name in long:
        assert name.startswith("ü" * 90)
        assert len(os.fsencode(name)) <= 200


def test_only_the_long_part_is_cut():
    assert files.safe_name("a/" + "x" * 300 + "/b").split("/")[::2] == ["a", "b"]
