"""Find images in files, folders and globs, each with the name of its results."""

from __future__ import annotations

import fnmatch
import glob
import json
import os
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ovseg.errors import InputError
from ovseg.images.read import refuse_address
from ovseg.utils.files import safe_name

__all__ = ["EXTENSIONS", "Item", "ImageFinder", "find_images"]

EXTENSIONS = frozenset(
    {".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg"}
    | {".jpg", ".jxl", ".mpo", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff"}
    | {".webp"}
)


@dataclass(frozen=True, slots=True)
class Item:
    """One image to work on.

    Args:
        path: the file to read.
        name: relative name of its results without a suffix, `/` between folders.
    """

    path: str
    name: str


def find_images(
    sources: Iterable[str | os.PathLike[str]],
    *,
    exclude: str | os.PathLike[str] | None = None,
    extensions: Iterable[str] = EXTENSIONS,
) -> ImageFinder:
    """Find the images that `sources` name.

    Names of results mirror the tree below the one source, or below the folder that several
    sources share. A file gets its own name without the extension, which stays where two images
    would otherwise get the same (`a.jpg` and `a.png`). The order is that of the sources, and
    sorted inside a folder.

    Args:
        sources: files, folders (searched to the bottom, through links but never in a circle) and
            globs (`*`, `?`, `[...]`, `**`). A file that is named by itself is always taken,
            whatever it is called and whether or not it exists: reading it says what is wrong.
            A one-time iterator is kept in a temporary file, not in memory.
        exclude: folder left out of every search: the output folder.
        extensions: what an image's name ends in, in lower case; other files are counted.

    Returns:
        An iterable that can be gone through several times. It raises `InputError` for a web
        address among the sources.
    """
    return ImageFinder(sources, exclude, frozenset(extensions))


class ImageFinder:
    """The images of some sources, listed anew at each pass; see `find_images`.

    Attributes:
        ignored: after a pass, how many entries were left out: "hidden", "other files", "output".
        problems: after a pass, (path, reason) of folders that could not be searched.
        named: after a pass, how many images were named by themselves, not found in a folder.
    """

    def __init__(
        self,
        sources: Iterable[str | os.PathLike[str]],
        exclude: str | os.PathLike[str] | None,
        extensions: frozenset[str],
    ) -> None:
        self._sources = sources if isinstance(sources, Sequence) else _Spool(sources)
        if isinstance(sources, (str, os.PathLike)):
            self._sources = (sources,)
        self._exclude = None if exclude is None else os.path.realpath(exclude)
        self._extensions = extensions
        self._root: str | None = None
        self._total = 0
        self._clashes: frozenset[int] = frozenset()
        self.ignored: Counter[str] = Counter()
        self.problems: list[tuple[str, str]] = []
        self.named = 0

    @property
    def total(self) -> int:
        """How many images there are; the first use goes through all folders once."""
        self._survey()
        return self._total

    def __iter__(self) -> Iterator[Item]:
        self._survey()
        for path, relative in self._images():
            stem = os.path.splitext(relative)[0]
            yield Item(path, safe_name(relative if _key(stem) in self._clashes else stem))

    def require_any(self) -> int:
        """Raise when there is nothing to do.

        Returns:
            How many images there are.

        Raises:
            InputError: no image was found, or a source is a web address.
        """
        self._survey()
        if self._total == 0:
            shown = [str(os.fspath(s)) for _, s in zip(range(5), self._sources, strict=False)]
            seen = ", ".join(f"{n} {what}" for what, n in sorted(self.ignored.items()) if n)
            raise InputError(
                f"no images found in {', '.join(shown) or 'an empty list'}"
                + (f" (ignored: {seen})" if seen else ""),
                expected=f"files ending in {' '.join(sorted(self._extensions))}",
                fix="check the path, or name a file with another ending by itself",
            )
        return self._total

    def _survey(self) -> None:
        """Go through everything once: the shared folder, the count and the names that clash.

        A stem must differ from the stem and from the whole name of every other image: `a.jpg`
        that keeps its extension beside `a.png` must not meet `a.jpg.png`. Only two 64-bit hashes
        an image are held, so a million images take 16 MB.
        """
        if self._root is not None:
            return
        root = ""
        for source in self._sources:
            refuse_address(os.fspath(source))
            folder = os.path.abspath(_base(os.fspath(source)))
            root = os.path.commonpath((root or folder, folder))
        self._root = root
        names, stems = array("q"), array("q")
        for _, relative in self._images():
            names.append(hash(relative))
            stems.append(_key(os.path.splitext(relative)[0]))
        self._total = len(names)
        different, first = np.unique(np.asarray(names, np.int64), return_index=True)
        stem = np.asarray(stems, np.int64)[first]
        keys = np.append(different, stem[stem != different])
        keys.sort()
        self._clashes = frozenset(keys[1:][keys[1:] == keys[:-1]].tolist())

    def _images(self) -> Iterator[tuple[str, str]]:
        """(path, name relative to the shared folder) of every image."""
        self.ignored.clear()
        self.problems.clear()
        self.named = 0
        for source in self._sources:
            for path in self._expand(os.fspath(source)):
                yield path, os.path.abspath(path).removeprefix(self._root or "").lstrip(os.sep)

    def _expand(self, source: str) -> Iterator[str]:
        """The images of one source; a file that is named by itself is always taken."""
        base = _base(source)
        if base == source:
            yield from self._walk(source, ())
        elif _is_glob(source):
            pattern = os.path.relpath(os.path.abspath(source), os.path.abspath(base))
            yield from self._walk(base, pattern.split(os.sep))
        else:
            self.named += 1
            yield source

    def _walk(
        self,
        folder: str,
        pattern: Sequence[str],
        names: tuple[str, ...] = (),
        above: tuple[tuple[int, int], ...] = (),
    ) -> Iterator[str]:
        """Images below `folder` whose path fits the glob, sorted by name inside each folder.

        Args:
            folder: the folder to list.
            pattern: the parts of a glob; none takes everything.
            names: of the folders from where the search began, down to `folder`.
            above: device and number of these folders, by which a circle of links is noticed.
        """
        if os.path.realpath(folder) == self._exclude:
            self.ignored["output"] += 1
            return
        try:
            state = os.stat(folder)
            if (state.st_dev, state.st_ino) in above:
                self.problems.append((folder, "leads back to a folder above it"))
                return
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.problems.append((folder, f"cannot be searched ({error.strerror or error})"))
            return
        for entry in listed:
            path = (*names, entry.name)
            if entry.name.startswith("."):
                self.ignored["hidden"] += 1
            elif _is_folder(entry):
                if _fits(path, pattern, folder=True):
                    inside = (*above, (state.st_dev, state.st_ino))
                    yield from self._walk(entry.path, pattern, path, inside)
            elif not _fits(path, pattern):
                continue
            elif os.path.splitext(entry.name)[1].lower() in self._extensions:
                yield entry.path
            else:
                self.ignored["other files"] += 1


class _Spool:
    """A one-time iterator of paths that can be read again, kept on disk."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the list
        for path in paths:
            text = os.fspath(path).rstrip("\r\n")
            if text:
                self._file.write(json.dumps(text).encode() + b"\n")

    def __iter__(self) -> Iterator[str]:
        position = 0
        while True:
            self._file.seek(position)
            line = self._file.readline()
            if not line:
                return
            position += len(line)
            yield json.loads(line)


def _base(source: str) -> str:
    """The folder from which names count: itself, the one a file lies in, or a glob's fixed part."""
    if os.path.isdir(source):
        return source
    if not _is_glob(source):
        return os.path.dirname(source) or os.curdir
    parts = Path(source).parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return os.path.join("", *parts[:first]) or os.curdir


def _is_glob(source: str) -> bool:
    return glob.has_magic(source) and not os.path.lexists(source)


def _fits(names: Sequence[str], pattern: Sequence[str], *, folder: bool = False) -> bool:
    """Whether a path fits a glob that stands for all below it; of a folder, whether some may.

    Example:
        >>> _fits(["x", "y", "a.jpg"], ["**", "*.jpg"]), _fits(["x", "a.jpg"], ["*.jpg"])
        (True, False)
    """
    if not pattern or (folder and (not names or pattern[0] == "**")):
        return True
    if pattern[0] == "**":
        return any(_fits(names[i:], pattern[1:] or ["*"]) for i in range(len(names)))
    head = bool(names) and fnmatch.fnmatchcase(names[0], pattern[0])
    return head and _fits(names[1:], pattern[1:], folder=folder)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reading it will say so
        return False


def _key(stem: str) -> int:
    """Hash of a name without its ending; on macOS case alone does not tell files apart."""
    return hash(stem.casefold())
