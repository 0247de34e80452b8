"""Vocabularies: the classes that are looked for, and the words that are asked for each."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from ovseg.errors import PromptError
from ovseg.prompts.builtin import (
    COVERED_BACKGROUND,
    builtins,
    check_not_a_file,
    list_key,
    list_path,
)
from ovseg.prompts.class_names import (
    ClassEntry,
    clean_name,
    distinct,
    file_lines,
    name_key,
    parse_entry,
    read_text_file,
)

__all__ = ["MAX_CLASSES", "Vocabulary", "builtins"]

MAX_CLASSES = 65_535
"""Most classes that a 16-bit label map can hold."""

GENERIC_BACKGROUND = (
    "background; sky; wall; tree; wood; grass; road; sea; river; mountain; sand; desk; bed; "
    "building; cloud; lamp; door; window; wardrobe; ceiling; shelf; curtain; stair; floor; hill; "
    "rail; fence"
)
"""What the background may be: close to Trident's list for VOC21."""


@dataclass(frozen=True)
class Vocabulary:
    """Classes and the prompts (synonyms) asked for each; equal when these are equal.

    Attributes:
        classes: (K) labels, in the order of the label map's indices.
        prompts: (Q) texts, Q >= K, grouped by class.
        prompt_class: (Q) class index of each prompt.
        background: index of the class labeled `background`, or None.
        covered_background: whether the other classes name what a background is made of (wall, sky,
            grass), as Pascal Context with 60 classes does; no name of a file decides this.
        source: where it comes from: a path, the name of a built-in list, or "names".
        text: the canonical text that `sha256` hashes.

    Example:
        >>> words = Vocabulary.parse("cat, dog; puppy")
        >>> words.classes, words.prompts, words.prompt_class
        (('cat', 'dog'), ('cat', 'dog', 'puppy'), (0, 1, 1))
    """

    classes: tuple[str, ...]
    prompts: tuple[str, ...]
    prompt_class: tuple[int, ...]
    background: int | None
    source: str = field(compare=False)
    text: str = field(compare=False, repr=False)
    covered_background: bool = False

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def sha256(self) -> str:
        """SHA-256 (64 hex digits) of the canonical text; reports print the first 12.

        Of a file and of a built-in list that is the file itself as UTF-8 without byte order mark,
        with LF line ends and no blanks at line ends: what `sha256sum` gives for a clean file, and
        the same for its copy from another system. Otherwise it is the list written as such a file.
        """
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()

    @classmethod
    def from_names(cls, names: Sequence[str], *, merge_duplicates: bool = False) -> Vocabulary:
        """Make a vocabulary of a list.

        Args:
            names: one entry a class: `prompt; prompt` or `label: prompt; prompt`. A comma is part
                of the name.
            merge_duplicates: join classes of the same label instead of refusing them.

        Raises:
            PromptError: no, too many, empty, unusable or duplicate names.

        Example:
            >>> Vocabulary.from_names(["building, edifice", "feline: cat; tiger"]).classes
            ('building, edifice', 'feline')
        """
        if isinstance(names, str | bytes) or not isinstance(names, Iterable):
            raise PromptError(
                f"{names!r} instead of a list",
                expected="a list of names",
                fix="use Vocabulary.parse for a text with commas",
            )
        names = list(names)
        places = (f"class {number}" for number in range(1, len(names) + 1))
        entries = [parse_entry(_text(name, at), at) for name, at in zip(names, places, strict=True)]
        return cls._build(entries, source="names", merge=merge_duplicates)

    @classmethod
    def from_file(cls, path: str | Path, *, merge_duplicates: bool = False) -> Vocabulary:
        """Read a class file: UTF-8, one class a line, lines that start with `#` are comments.

        A byte order mark, Windows line ends, blanks, tabs and blank lines do no harm.

        Args:
            path: the file; its lines are entries as for `from_names`.
            merge_duplicates: join classes of the same label instead of refusing them.

        Raises:
            PromptError: the file cannot be read, is not UTF-8, or holds unusable names.
        """
        return cls._read(path, str(path), merge_duplicates)

    @classmethod
    def builtin(cls, name: str) -> Vocabulary:
        """Load a built-in list by name, for example "ade20k"; see `builtins`.

        Raises:
            PromptError: no such list.
        """
        path = list_path(name)
        covered = path.stem in COVERED_BACKGROUND
        return cls._read(path, path.stem, merge=False, covered=covered)

    @classmethod
    def _read(cls, path: str | Path, source: str, merge: bool, covered: bool = False) -> Vocabulary:
        text = read_text_file(path)
        entries = [parse_entry(line, at) for line, at in file_lines(text, source)]
        return cls._build(entries, source=source, merge=merge, text=text, covered=covered)

    @classmethod
    def parse(
        cls, spec: str | Path | Sequence[str] | Vocabulary, *, merge_duplicates: bool = False
    ) -> Vocabulary:
        """Understand what a user gives for classes.

        Args:
            spec: a vocabulary; a list as for `from_names`; a path; or a text, which is an existing
                file, else the name of a built-in list, else names with a comma between classes and
                `;` between synonyms.
            merge_duplicates: join classes of the same label instead of refusing them.

        Raises:
            PromptError: the file is not there, or holds unusable names.

        Example:
            >>> Vocabulary.parse("sky, grass; lawn").classes
            ('sky', 'grass')
        """
        if isinstance(spec, Vocabulary):
            return spec
        if isinstance(spec, Path) or (isinstance(spec, str) and os.path.isfile(spec)):
            return cls.from_file(spec, merge_duplicates=merge_duplicates)
        if not isinstance(spec, str):
            return cls.from_names(spec, merge_duplicates=merge_duplicates)
        word = spec.strip()
        if "," not in word and ";" not in word:
            if list_key(word) in builtins():
                return cls.builtin(word)
            check_not_a_file(word)
        # CLIP's cleaning makes a full-width comma a plain one, so it divides as well.
        names = re.split("[,\uff0c]", spec) if word else []
        return cls.from_names(names, merge_duplicates=merge_duplicates)

    def with_background(self, background: str | Sequence[str] = "auto") -> Vocabulary:
        """Give the vocabulary a background class.

        Args:
            background: "auto" adds one with generic prompts (words that the vocabulary asks for
                itself are left out) unless there is one; "none" changes nothing; other words
                ("sky; wall; tree", or a list) become the prompts of the background class.

        Returns:
            The vocabulary with the background in front (index 0), or itself. Warns when one class
            is all there is, since every pixel then gets it.

        Raises:
            PromptError: no word, an unusable one, or one that a class asks for too.

        Example:
            >>> Vocabulary.from_names(["cat"]).with_background("sky; wall").classes
            ('background', 'cat')
        """
        mode = background.strip().lower() if isinstance(background, str) else None
        if mode == "none" or (mode == "auto" and self.background is not None):
            self._warn_if_alone()
            return self
        prompts = self._generic_background() if mode == "auto" else self._own_background(background)
        entries = self._entries()
        added = ClassEntry("background", prompts, "background")
        if self.background is None:
            entries.insert(0, added)
        else:
            entries[self.background] = added
        source, covered = f"{self.source} + background", self.covered_background
        return self._build(entries, source=source, merge=False, covered=covered)

    @classmethod
    def _build(
        cls,
        entries: list[ClassEntry],
        *,
        source: str,
        merge: bool,
        text: str | None = None,
        covered: bool = False,
    ) -> Vocabulary:
        united = _unite(entries, merge)
        entries = list(united.values())
        if not 0 < len(entries) <= MAX_CLASSES:
            raise PromptError(
                f"{len(entries)} classes" if entries else "no class is named",
                where=source,
                expected=f"1 to {MAX_CLASSES} classes (a label map has 16 bits)",
                fix="name at least one class" if not entries else "split the list",
            )
        labels = list(united)
        return cls(
            classes=tuple(entry.label for entry in entries),
            prompts=tuple(prompt for entry in entries for prompt in entry.prompts),
            prompt_class=tuple(i for i, entry in enumerate(entries) for _ in entry.prompts),
            background=labels.index("background") if "background" in labels else None,
            source=source,
            text=text or "".join(_write(entry) + "\n" for entry in entries),
            covered_background=covered,
        )

    def _entries(self) -> list[ClassEntry]:
        asked = zip(self.prompt_class, self.prompts, strict=True)
        return [
            ClassEntry(
                self.classes[index], tuple(prompt for _, prompt in group), f"class {index + 1}"
            )
            for index, group in groupby(asked, key=itemgetter(0))
        ]

    def _generic_background(self) -> tuple[str, ...]:
        asked = {_stem(word) for prompt in self.prompts for word in re.findall(r"\w+", prompt)}
        words = _split_words(GENERIC_BACKGROUND)
        return tuple(word for word in words if word == "background" or _stem(word) not in asked)

    def _own_background(self, background: str | Sequence[str]) -> tuple[str, ...]:
        words = _split_words(background)
        asked = zip(self.prompts, self.prompt_class, strict=True)
        known = {name_key(prompt) for prompt, index in asked if index != self.background}
        for word in words:
            if name_key(word) in known:
                raise PromptError(
                    f"{word!r} is asked for by a class too, so one of the two would never be found",
                    where="background",
                    expected="words that no class asks for",
                    fix="leave it out, or use 'auto', which does so by itself",
                )
        return words

    def _warn_if_alone(self) -> None:
        if len(self.classes) == 1:
            warnings.warn(
                f"{self.classes[0]!r} is the only class, so EVERY pixel will be labeled with it; "
                "add a background: --background auto, or with_background('auto')",
                stacklevel=3,
            )


def _unite(entries: list[ClassEntry], merge: bool) -> dict[str, ClassEntry]:
    """Entries by the keys of their labels, those of the same label joined."""
    united: dict[str, ClassEntry] = {}
    for entry in entries:
        first = united.setdefault(name_key(entry.label), entry)
        if first is entry:
            continue
        if not merge:
            raise PromptError(
                f"duplicate class {entry.label!r}: {first.where} and {entry.where}",
                expected="every label once (case and blanks do not count)",
                fix="remove one, or merge them with --merge-duplicates (merge_duplicates=True)",
            )
        prompts = distinct((*first.prompts, *entry.prompts))
        united[name_key(entry.label)] = ClassEntry(first.label, prompts, first.where)
    return united


def _write(entry: ClassEntry) -> str:
    words = "; ".join(entry.prompts)
    plain = entry.label == entry.prompts[0] and ": " not in words
    return words if plain else f"{entry.label}: {words}"


def _text(name: object, where: str) -> str:
    if not isinstance(name, str):
        raise PromptError(f"{name!r} is no text", where=where, expected="a class name")
    return name


def _split_words(words: str | Sequence[str]) -> tuple[str, ...]:
    parts: object = re.split("[;,]", words) if isinstance(words, str) else words
    if not isinstance(parts, Iterable) or not (parts := list(parts)):
        raise PromptError(
            f"{words!r} as words of the background",
            expected="'auto', 'none', or at least one word",
        )
    return distinct(clean_name(_text(part, "background"), where="background") for part in parts)


def _stem(word: str) -> str:
    return word.casefold().rstrip("s")
