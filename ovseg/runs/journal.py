"""The journal of a run: `results.jsonl`, a line an image, and the index that makes resuming cheap.

Several processes may append to one journal. A line is written with a single call in append mode,
after the files it speaks of; a line that a crash cut short counts as never written. The index
lives in a private temporary SQLite database, so a run over millions of images keeps little in
memory.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ovseg.utils.files import TEMP_PREFIX

__all__ = ["Journal", "append_line"]


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append a record to a JSON-lines file in one write.

    Raises:
        OSError: the line could not be written in full, for example on a full disk.
    """
    try:
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # a file name that is not UTF-8
        line = json.dumps(record).encode() + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        if os.write(handle, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(handle)


class Journal:
    """Records by name; the last one of a name is the one that counts.

    Args:
        path: the file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index = sqlite3.connect("", isolation_level=None)
        self._index.execute("CREATE TABLE last (name BLOB PRIMARY KEY, start INTEGER)")
        self._inode = -1
        self._offset = 0
        self._stale = False

    def add(self, record: Mapping[str, Any]) -> None:
        """Append a record; it must have a `name`.

        Raises:
            OSError: the line could not be written.
        """
        append_line(self.path, record)

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the last record of a name, also when another process has just written it."""
        self._catch_up()
        start = self._start(name)
        if start is None:
            return None
        with self.path.open("rb") as stream:
            stream.seek(start)
            return _parse(stream.readline())

    def names(self) -> Iterator[str]:
        """Yield every name that has a record."""
        self._catch_up()
        for (name,) in self._index.execute("SELECT name FROM last"):
            yield os.fsdecode(name)

    def tidy(self) -> None:
        """Drop cut and outdated lines. Only for a process that is alone with the file."""
        self._catch_up()
        if not self._stale and self._offset == self._size():
            return
        temporary = self.path.with_name(f"{TEMP_PREFIX}{self.path.name}.tmp")
        try:
            with self.path.open("rb") as source, temporary.open("wb") as target:
                for start, line in _lines(source):
                    record = _parse(line)
                    if record is not None and self._start(record["name"]) == start:
                        target.write(line)
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self._forget()

    def close(self) -> None:
        """Free the index."""
        self._index.close()

    def _start(self, name: str) -> int | None:
        row = self._index.execute(
            "SELECT start FROM last WHERE name = ?", (os.fsencode(name),)
        ).fetchone()
        return row[0] if row else None

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _forget(self) -> None:
        self._index.execute("DELETE FROM last")
        self._inode, self._offset, self._stale = -1, 0, False

    def _catch_up(self) -> None:
        """Index the lines that came since the last look, from whichever process."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            self._forget()
            return
        if state.st_ino != self._inode or state.st_size < self._offset:
            self._forget()
            self._inode = state.st_ino
        if state.st_size == self._offset:
            return
        self._index.execute("BEGIN")
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            for start, line in _lines(stream):
                self._offset = start + len(line)
                self._note(start, line)
        self._index.execute("COMMIT")

    def _note(self, start: int, line: bytes) -> None:
        record = _parse(line)
        if record is None or self._start(record["name"]) is not None:
            self._stale = True
        if record is not None:
            self._index.execute(
                "INSERT OR REPLACE INTO last VALUES (?, ?)", (os.fsencode(record["name"]), start)
            )


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield position and text of every complete line from where the stream stands."""
    start = stream.tell()
    for line in stream:
        if not line.endswith(b"\n"):
            return
        yield start, line
        start += len(line)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("name"), str) else None
