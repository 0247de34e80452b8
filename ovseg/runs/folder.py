"""The folder that a run writes to: what is done, by whom, with which settings.

    OUT/run.json        settings, protocol, versions: what made these results
    OUT/classes.json    id, label and color of every class
    OUT/results.jsonl   a line a finished image; also the manifest by which a run resumes
    OUT/errors.jsonl    a line a failed image of the latest run

An image is done when its line stands in `results.jsonl`, the image still has the size and time
of change that stand there, and the files named there still have their sizes. Several processes
may work in one folder at once: each image is claimed by one of them, files are renamed into
place, lines are appended in one write.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from ovseg.errors import ConfigError, InputError
from ovseg.runs.journal import Journal, append_line
from ovseg.utils.files import TEMP_PREFIX, write_atomic

__all__ = ["RunFolder", "differences"]

_CLAIMS = ".claims"
_SHOWN = 5


class RunFolder:
    """One output folder, from the check before the model is loaded to the last line.

    Args:
        root: the folder; made when it is not there.
        settings: what the caller asked for, as plain data. A folder made with other settings is
            refused.
        overwrite: start afresh instead of going on.

    Raises:
        InputError: the folder cannot be made or written to.
        ConfigError: the folder holds results of other settings, or `overwrite` is asked for while
            another process works in it.
    """

    def __init__(
        self, root: str | Path, settings: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        self.root = Path(root)
        self.settings = _plain_json(settings)
        self.overwrite = overwrite
        _make_writable(self.root)
        self._presence = _Presence(self.root)
        self._journal = Journal(self.root / "results.jsonl")
        try:
            with self._presence.alone() as alone:
                self._check(alone)
                if alone:
                    self._tidy()
        except ConfigError:
            self.close()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(
        self,
        protocol: Mapping[str, Any],
        classes: Sequence[Mapping[str, Any]],
        about: Mapping[str, Any],
    ) -> None:
        """Write `run.json` and `classes.json`, or check that they agree with this run.

        Args:
            protocol: everything else that moves the result, known once the model is loaded.
            classes: a mapping per class for `classes.json`.
            about: what is only noted: versions, device, ...

        Raises:
            ConfigError: the folder's results were made with another protocol.
        """
        protocol = _plain_json(protocol)
        with self._presence.alone() as alone:
            self._check(alone)
            if self.overwrite:
                for name in ("results.jsonl", "run.json"):
                    (self.root / name).unlink(missing_ok=True)
            self._compare("protocol", protocol)
            if not (self.root / "run.json").exists():
                self._write("classes.json", list(classes))
                run = {"settings": self.settings, "protocol": protocol, **_plain_json(about)}
                self._write("run.json", run)

    def is_done(self, name: str, image: str | Path) -> bool:
        """Tell whether an image has its results already; see `done_record`."""
        return self.done_record(name, image) is not None

    def done_record(self, name: str, image: str | Path) -> dict[str, Any] | None:
        """Return the record of an image that has its results already, or None.

        Args:
            name: the image's name in the output tree, for example `x/a`.
            image: the image's file.

        Raises:
            OSError: the file is not there.
        """
        record = self._journal.get(name)
        if record is None or record.get("input") != fingerprint(image):
            return None
        outputs = record.get("outputs", {}).items()
        return record if all(_size(self.root / f) == n for f, n in outputs) else None

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Claim an image for this process while the block runs.

        Yields:
            False when another process works on it.
        """
        folder = self.root / _CLAIMS
        path = folder / hashlib.sha256(os.fsencode(name)).hexdigest()[:24]
        folder.mkdir(exist_ok=True)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)

    def record(
        self, name: str, image: str | Path, outputs: Sequence[Path], details: Mapping[str, Any]
    ) -> None:
        """Write that an image is done, after its files are in place.

        Raises:
            OSError: the line could not be written.
        """
        self._journal.add(
            {
                "name": name,
                "file": str(image),
                **_plain_json(details),
                "input": fingerprint(image),
                "outputs": {str(p.relative_to(self.root)): p.stat().st_size for p in outputs},
            }
        )

    def record_error(self, name: str, image: str | Path, error: Exception) -> None:
        """Write that an image failed and why.

        Raises:
            OSError: the line could not be written.
        """
        append_line(
            self.root / "errors.jsonl",
            {
                "name": name,
                "file": str(image),
                "error": type(error).__name__,
                "message": str(error),
            },
        )

    def close(self) -> None:
        """Tidy up and let other processes have the folder."""
        with self._presence.alone() as alone:
            self._presence.leave(last=alone)
            with suppress(OSError):
                if alone:
                    (self.root / _CLAIMS).rmdir()
                    self._journal.tidy()
        self._journal.close()

    def _tidy(self) -> None:
        """Remove what a crash or an earlier run left behind.

        At the very start, when the first of several processes is still alone: none of them would
        touch an image that a dead process has claimed.
        """
        if (self.root / "run.json").exists():
            _remove_temporary_files(self.root)
        shutil.rmtree(self.root / _CLAIMS, ignore_errors=True)
        (self.root / "errors.jsonl").unlink(missing_ok=True)
        self._journal.tidy()

    def _check(self, alone: bool) -> None:
        if not self.overwrite:
            self._compare("settings", self.settings)
        elif not alone:
            raise ConfigError(
                "another process is writing here, so nothing is overwritten",
                where=self.root,
                fix="wait for it, or choose another folder with -o",
            )

    def _compare(self, part: str, ours: Any) -> None:
        """Refuse to mix results of different settings in one folder."""
        theirs = _read_json(self.root / "run.json").get(part)
        if theirs is None:
            return
        changes = differences(theirs, ours)
        if changes:
            if len(changes) > _SHOWN:
                changes[_SHOWN:] = [f"and {len(changes) - _SHOWN} more"]
            raise ConfigError(
                f"the results here were made with other {part}: {'; '.join(changes)}",
                where=self.root,
                fix="choose another folder with -o, or start afresh with --overwrite",
            )

    def _write(self, name: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        write_atomic(self.root / name, text.encode())


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Describe how two pieces of plain data differ.

    Example:
        >>> differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
        ['b.c: 2 -> 3']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = dict.fromkeys([*old, *new])
        found = (differences(old.get(k), new.get(k), f"{key}.{k}" if key else k) for k in keys)
        return [line for lines in found for line in lines]
    return [] if old == new else [f"{key}: {_brief(old)} -> {_brief(new)}"]


def fingerprint(image: str | Path) -> dict[str, int]:
    """Return size in bytes and time of change (ns) of a file, by which a change is noticed.

    Raises:
        OSError: the file is not there.
    """
    state = Path(image).stat()
    return {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns}


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain_json(value: Any) -> Any:
    """Return data as JSON will give it back, so that it can be compared with what was read."""
    return json.loads(json.dumps(value, default=str))


def _remove_temporary_files(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(TEMP_PREFIX) and name.endswith(".tmp"):
                Path(folder, name).unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _make_writable(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write results here ({error.strerror})",
            where=root,
            fix="choose another folder with -o, or change its permissions",
        ) from error


class _Presence:
    """Who works in a folder: every process holds a lock on a file of its own there.

    The system frees the lock of a process that dies.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._door = FileLock(root / f"{TEMP_PREFIX}door.lock", thread_local=False)
        self._own = FileLock(root / f"{TEMP_PREFIX}{uuid4().hex}.lock", thread_local=False)
        with suppress(OSError):
            self._own.acquire()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Let nobody come or go while the block runs.

        Yields:
            Whether nobody else is in. On a file system without locks the answer is no.
        """
        try:
            self._door.acquire()
        except OSError:
            yield False
            return
        try:
            ours = (self._door.lock_file, self._own.lock_file)
            others = (p for p in self._root.glob(f"{TEMP_PREFIX}*.lock") if str(p) not in ours)
            yield not [path for path in others if _is_held(path)]
        finally:
            self._door.release()

    def leave(self, *, last: bool) -> None:
        """Go out, from inside `alone`; the last one takes the door along."""
        self._own.release()
        for lock in (self._own, self._door) if last else (self._own,):
            with suppress(OSError):
                os.unlink(lock.lock_file)


def _is_held(path: Path) -> bool:
    """Whether a process holds a lock; what a dead one has left is removed."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except OSError:
        return True
    path.unlink(missing_ok=True)
    lock.release()
    return False
