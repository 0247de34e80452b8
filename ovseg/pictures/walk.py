"""Go through folders and globs, sorted, never in a circle, with a count of what is left out."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Walker", "classify"]


class Walker:
    """Lists the pictures that a file, folder or glob stands for.

    Args:
        exclude: real path of a folder that is left out, or None.
        extensions: what a picture's name ends in, in lower case.

    Attributes:
        ignored: how many entries were left out: "hidden", "other files", "output".
        problems: (path, reason) of folders that could not be searched.
    """

    def __init__(self, exclude: str | None, extensions: frozenset[str]) -> None:
        self._exclude = exclude
        self._extensions = extensions
        self.ignored: Counter[str] = Counter()
        self.problems: list[tuple[str, str]] = []

    def expand(self, source: str, kind: str, base: str) -> Iterator[str]:
        """List the pictures of one source; a file that is named by itself is always taken.

        Args:
            source: a path or glob.
            kind: what `classify` says that it is.
            base: the folder that `classify` gave with it.

        Yields:
            Paths, sorted inside each folder.
        """
        if kind == "folder":
            yield from self._walk(source)
        elif kind == "file":
            yield source
        else:
            parts = os.path.relpath(os.path.abspath(source), os.path.abspath(base)).split(os.sep)
            yield from self._match(base, parts, ())

    def _match(self, folder: str, parts: list[str], above: tuple[object, ...]) -> Iterator[str]:
        """Files below `folder` whose path matches the pattern `parts`, sorted."""
        if self._skip_folder(folder, above):
            return
        above = (*above, _identity(folder))
        pattern, rest = parts[0], parts[1:]
        if pattern == "**":
            yield from self._match_any_depth(folder, rest or ["*"], above)
            return
        for entry in self._list(folder):
            if not fnmatch.fnmatchcase(entry.name, pattern):
                continue
            if rest:
                if _is_folder(entry):
                    yield from self._match(entry.path, rest, above)
            elif _is_folder(entry):
                yield from self._walk(entry.path, above)
            elif self._is_picture(entry.name):
                yield entry.path

    def _match_any_depth(
        self, folder: str, rest: list[str], above: tuple[object, ...]
    ) -> Iterator[str]:
        for entry in self._list(folder):
            if _is_folder(entry):
                yield from self._match(entry.path, ["**", *rest], above)
            elif len(rest) > 1 or not fnmatch.fnmatchcase(entry.name, rest[0]):
                continue
            elif self._is_picture(entry.name):
                yield entry.path
        if len(rest) > 1:
            yield from self._match(folder, rest, above[:-1])

    def _walk(self, folder: str, above: tuple[object, ...] = ()) -> Iterator[str]:
        """Every picture below `folder`, sorted by name inside each folder."""
        if self._skip_folder(folder, above):
            return
        above = (*above, _identity(folder))
        for entry in self._list(folder):
            if _is_folder(entry):
                yield from self._walk(entry.path, above)
            elif self._is_picture(entry.name):
                yield entry.path

    def _list(self, folder: str) -> list[os.DirEntry[str]]:
        """The visible entries of a folder in order; the hidden ones are counted."""
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.problems.append((folder, f"cannot be searched ({error.strerror or error})"))
            return []
        shown = [entry for entry in listed if not entry.name.startswith(".")]
        self.ignored["hidden"] += len(listed) - len(shown)
        return shown

    def _is_picture(self, name: str) -> bool:
        if os.path.splitext(name)[1].lower() in self._extensions:
            return True
        self.ignored["other files"] += 1
        return False

    def _skip_folder(self, folder: str, above: tuple[object, ...]) -> bool:
        if self._exclude is not None and os.path.realpath(folder) == self._exclude:
            self.ignored["output"] += 1
            return True
        if _identity(folder) in above:
            self.problems.append((folder, "leads back to a folder above it"))
            return True
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reading it will say so
        return False


def classify(source: str) -> tuple[str, str]:
    """Tell what a source is and from which folder its relative names count.

    Args:
        source: a path or glob.

    Returns:
        "folder", "file" or "glob", and the folder: itself, the one it lies in, or the part of a
        glob before its first wildcard.

    Example:
        >>> classify("no such folder/*/a.jpg")
        ('glob', 'no such folder')
    """
    if os.path.isdir(source):
        return "folder", source
    if not glob.has_magic(source) or os.path.lexists(source):
        return "file", os.path.dirname(source) or os.curdir
    parts = Path(source).parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return "glob", os.path.join(*parts[:first]) if first else os.curdir


def _identity(folder: str) -> object:
    try:
        status = os.stat(folder)
    except OSError:
        return folder
    return status.st_dev, status.st_ino
