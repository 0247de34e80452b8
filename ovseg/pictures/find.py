"""Find pictures in files, folders and globs, each with the name of its results."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from ovseg.errors import InputError
from ovseg.files import safe_name
from ovseg.pictures.addresses import address_name, is_address, shared_address
from ovseg.pictures.walk import Walker, classify

__all__ = ["EXTENSIONS", "Item", "PictureFinder", "find_pictures"]

EXTENSIONS = frozenset(
    {".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg"}
    | {".jpg", ".jxl", ".mpo", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff"}
    | {".webp"}
)


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to work on.

    Args:
        path: the file (or address) to read.
        name: relative name of its results without a suffix, `/` between folders.
    """

    path: str
    name: str


def find_pictures(
    sources: Iterable[str | os.PathLike[str]],
    *,
    exclude: str | os.PathLike[str] | None = None,
    extensions: Iterable[str] = EXTENSIONS,
) -> PictureFinder:
    """Find the pictures that `sources` name.

    Names of results mirror the tree below the one source, or below the folder that several
    sources share. A file gets its own name without the extension, which stays where two pictures
    would otherwise get the same (`a.jpg` and `a.png`). Addresses count from the host and folder
    that they share; beside local files they keep both. The order is that of the sources, and
    sorted inside a folder.

    Args:
        sources: files, folders (searched to the bottom, through links but never in a circle),
            globs (`*`, `?`, `[...]`, `**`) and http(s) addresses. A file that is named by itself
            is always taken, whatever it is called and whether or not it exists: reading it says
            what is wrong. A one-time iterator is kept in a temporary file, not in memory.
        exclude: folder left out of every search: the output folder.
        extensions: what a picture's name ends in, in lower case; other files are counted.

    Returns:
        An iterable that can be gone through several times.
    """
    return PictureFinder(sources, exclude=exclude, extensions=extensions)


class PictureFinder:
    """The pictures of some sources, listed anew at each pass; see `find_pictures`."""

    def __init__(
        self,
        sources: Iterable[str | os.PathLike[str]],
        *,
        exclude: str | os.PathLike[str] | None = None,
        extensions: Iterable[str] = EXTENSIONS,
    ) -> None:
        self._sources = sources if isinstance(sources, Sequence) else _Spool(sources)
        if isinstance(sources, (str, bytes, os.PathLike)):
            self._sources = (sources,)
        self._extensions = frozenset(extensions)
        self._walker = Walker(
            None if exclude is None else os.path.realpath(exclude), self._extensions
        )
        self._clashes: np.ndarray | None = None
        self._total = 0
        self._root = ""
        self._host = ""

    @property
    def ignored(self) -> Counter[str]:
        """After a pass, how many entries were left out: "hidden", "other files", "output"."""
        return self._walker.ignored

    @property
    def problems(self) -> list[tuple[str, str]]:
        """After a pass, (path, reason) of folders that could not be searched."""
        return self._walker.problems

    @property
    def total(self) -> int:
        """How many pictures there are; the first use goes through all folders once."""
        self._survey()
        return self._total

    def __iter__(self) -> Iterator[Item]:
        self._survey()
        for path, relative in self._walk_sources():
            stem = os.path.splitext(relative)[0]
            clash = self._clashes is not None and _contains(self._clashes, _key(stem))
            yield Item(path, safe_name(relative if clash else stem))

    def require_any(self) -> None:
        """Raise when there is nothing to do.

        Raises:
            InputError: no picture was found.
        """
        if self.total == 0:
            shown = [str(os.fspath(s)) for _, s in zip(range(5), self._sources, strict=False)]
            seen = ", ".join(f"{n} {what}" for what, n in sorted(self.ignored.items()) if n)
            raise InputError(
                f"no pictures found in {', '.join(shown) or 'an empty list'}"
                + (f" (ignored: {seen})" if seen else ""),
                expected=f"files ending in {' '.join(sorted(self._extensions))}",
                fix="check the path, or name a file with another ending by itself",
            )

    def _survey(self) -> None:
        """Go through everything once: the shared folder, the count and the names that clash.

        Only two 64-bit hashes a picture are held, so a million pictures take 16 MB.
        """
        if self._clashes is not None:
            return
        self._root = _shared_folder(os.fspath(source) for source in self._sources)
        self._host = shared_address(os.fspath(source) for source in self._sources)
        full, stems = array("q"), array("q")
        for _, relative in self._walk_sources():
            full.append(hash(relative))
            stems.append(_key(os.path.splitext(relative)[0]))
        self._total = len(full)
        self._clashes = _repeated(np.asarray(full, np.int64), np.asarray(stems, np.int64))

    def _walk_sources(self) -> Iterator[tuple[str, str]]:
        """(path, name relative to the shared folder) of every picture."""
        self.ignored.clear()
        self.problems.clear()
        last = start = prefix = ""
        for source in self._sources:
            text = os.fspath(source)
            if is_address(text):
                yield text, address_name(text).removeprefix(self._host).lstrip("/")
                continue
            kind, base = classify(text)
            if base != last:
                last, start = base, os.path.join(base, "")
                prefix = os.path.join(os.path.relpath(base, self._root), "")
                prefix = "" if prefix == os.path.join(os.curdir, "") else prefix
            for path in self._walker.expand(text, kind, base):
                yield path, prefix + path.removeprefix(start).lstrip(os.sep)


class _Spool:
    """A one-time iterator of lines that can be read again, kept on disk."""

    def __init__(self, lines: Iterable[str | os.PathLike[str]]) -> None:
        self._lines = iter(lines)
        self._file: IO[bytes] | None = None

    def __iter__(self) -> Iterator[str]:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the list
            for line in self._lines:
                name = os.fsencode(line).rstrip(b"\r\n")
                if name:
                    self._file.write(len(name).to_bytes(4, "little") + name)
        position = 0
        while True:
            self._file.seek(position)
            size = int.from_bytes(self._file.read(4), "little")
            if size == 0:
                return
            name = os.fsdecode(self._file.read(size))
            position += 4 + size
            yield name


def _shared_folder(sources: Iterable[str]) -> str:
    shared, last = None, ""
    for source in sources:
        if is_address(source):
            continue
        _, base = classify(source)
        if base != last:
            folder, last = os.path.abspath(base), base
            shared = folder if shared is None else os.path.commonpath((shared, folder))
    return shared or os.path.abspath(os.curdir)


def _key(stem: str) -> int:
    """Hash of a name without its ending; on macOS case alone does not tell files apart."""
    return hash(stem.casefold())


def _repeated(full: np.ndarray, stems: np.ndarray) -> np.ndarray:
    """Sorted hashes that stand for more than one different picture.

    A stem must differ from the stem and from the whole name of every other picture: `a.jpg`
    that keeps its extension beside `a.png` must not meet `a.jpg.png`.
    """
    order = np.argsort(full)
    full, stems = full[order], stems[order]
    different = np.append(True, full[1:] != full[:-1])[: len(full)]
    full, stems = full[different], stems[different]
    keys = np.concatenate([full, stems[stems != full]])
    keys.sort()
    return np.unique(keys[1:][keys[1:] == keys[:-1]])


def _contains(values: np.ndarray, value: int) -> bool:
    position = int(np.searchsorted(values, value))
    return position < len(values) and int(values[position]) == value
