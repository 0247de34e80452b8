"""The class lists that come with the package, by name."""

from __future__ import annotations

import difflib
import os
import re
import warnings
from pathlib import Path

from ovseg.errors import PromptError

__all__ = ["COVERED_BACKGROUND", "builtins", "check_not_a_file", "list_key", "list_path"]

COVERED_BACKGROUND = frozenset({"context60", "context60_clip_dinoiser", "context60_mmseg"})
"""Lists with a background class whose other classes name what a background is made of.

Pascal Context has wall, sky, grass, ... and "background" for what is left over.
"""

_FOLDER = Path(__file__).parents[1] / "vocabularies"
_PATH_STARTS = ("/", "./", "../", "~/")
_FILE_ENDINGS = (".txt", ".text", ".csv", ".tsv", ".json", ".yaml", ".yml", ".names", ".lst")


def builtins() -> tuple[str, ...]:
    """Names of the built-in vocabularies, sorted.

    A plain name such as "voc21" is the strongest list declared for that data set, Trident's, with
    mmsegmentation's labels; "voc21_mmseg", "voc21_clip_dinoiser" and so on are those of a method.
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.txt")))


def list_key(name: str) -> str:
    """Spelling that list names have, for example `ade20k` of `ADE20K`."""
    return name.strip().lower().replace("-", "_")


def list_path(name: str) -> Path:
    """File of a built-in list.

    Raises:
        PromptError: no such list.
    """
    key = list_key(name)
    if key not in builtins():
        near = difflib.get_close_matches(key, builtins(), cutoff=0.5)
        raise PromptError(
            f"no built-in vocabulary {name!r}",
            expected=f"{'perhaps' if near else 'one of'} {', '.join(near or builtins())}",
            fix="choose one of them, or give a class file or names with commas",
        )
    return _FOLDER / f"{key}.txt"


def check_not_a_file(word: str) -> None:
    """Refuse a text that is meant as a class file, and warn of a near miss of a built-in name.

    Args:
        word: what a user gave for classes; neither a file nor the name of a list.

    Raises:
        PromptError: it looks like a file name, or is a folder.
    """
    if "," in word or ";" in word:
        return
    folder = os.sep in word and os.path.isdir(word)
    if folder or word.startswith(_PATH_STARTS) or word.lower().endswith(_FILE_ENDINGS):
        files = "" if folder else _close_files(word)
        raise PromptError(
            "a folder, no class file" if folder else "no such class file",
            where=word,
            expected="a file with one class a line" + (f" (perhaps {files})" if files else ""),
            fix="check the path, or give class names with commas",
        )
    near = difflib.get_close_matches(list_key(word), builtins(), n=1, cutoff=0.8)
    if near and re.search(r"[\d_-]", word):
        warnings.warn(
            f"{word!r} is taken as the name of a class; a built-in vocabulary is {near[0]!r}",
            stacklevel=4,
        )


def _close_files(word: str) -> str:
    folder, name = os.path.split(word)
    try:
        here = os.listdir(folder or ".")
    except OSError:
        here = []
    near = [os.path.join(folder, found) for found in difflib.get_close_matches(name, here)]
    lists = difflib.get_close_matches(list_key(os.path.splitext(name)[0]), builtins())
    return ", ".join([*near, *(f"the built-in {found}" for found in lists)])
