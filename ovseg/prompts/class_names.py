"""Class names as text: cleaning them, and reading them from lines and files.

Everything here is about characters; `Vocabulary` gives them meaning.
"""

from __future__ import annotations

import html
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ovseg.errors import PromptError

__all__ = [
    "ClassEntry",
    "clean_name",
    "distinct",
    "file_lines",
    "name_key",
    "parse_entry",
    "read_text_file",
]

_CONTROL_TOKEN = re.compile(
    r"<(?=(?:\|?(?:start_?of_?text|end_?of_?text)\|?|/?s|pad|unk|mask|bos|eos)>)", re.IGNORECASE
)
"""The opening bracket of what a tokenizer (CLIP's, or a sentence-piece one) takes for a command."""

_COLON_IN_WORD = re.compile(r"^[^\W\d]+:[^\W\d]")
_MOST_ROUNDS = 20


@dataclass(frozen=True)
class ClassEntry:
    """One class as it was written.

    Attributes:
        label: the name shown in results.
        prompts: the texts that are asked, at least one.
        where: its place in the file or list, for messages.
    """

    label: str
    prompts: tuple[str, ...]
    where: str


def name_key(name: str) -> str:
    """What two names must share to be the same class: letters, neither case nor blanks.

    Example:
        >>> name_key("Traffic  light") == name_key("trafficlight")
        True
    """
    return "".join(name.casefold().split())


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Names without repeats; the first spelling of each stays."""
    kept: dict[str, str] = {}
    for name in names:
        kept.setdefault(name_key(name), name)
    return tuple(kept.values())


def clean_name(name: str, *, where: str | None = None, warn: bool = True) -> str:
    r"""Bring a name into the form that CLIP's tokenizer gives it, and make it harmless.

    Broken encodings and HTML entities are repaired and characters composed (NFC), as in CLIP's own
    cleaning; runs of blanks become one. A control token of a tokenizer is broken by a blank, so
    that it stands for its characters only.

    Args:
        name: the name.
        where: its place, for messages.
        warn: say so when more than blanks changed.

    Returns:
        The clean name; cleaning it again changes nothing.

    Raises:
        PromptError: nothing visible is left, or the name holds a control character.

    Example:
        >>> clean_name("  red \t car ")
        'red car'
    """
    text = _repair(name, where, warn)
    safe = _CONTROL_TOKEN.sub("< ", text)
    if warn and safe != text:
        warnings.warn(
            f"{_at(where)}the control token in {text!r} is kept as plain text: {safe!r}",
            stacklevel=2,
        )
    for index, character in enumerate(safe):
        if unicodedata.category(character) == "Cc":
            raise PromptError(
                f"control character U+{ord(character):04X} at index {index} of {safe!r}",
                where=where,
                expected="printable text",
                fix="remove it",
            )
    if not any(unicodedata.category(character)[0] in "LMNPS" for character in safe):
        raise PromptError(
            f"empty class name {name!r}",
            where=where,
            expected="at least one visible character",
            fix="remove the entry or give it a name",
        )
    return safe


def parse_entry(text: str, where: str) -> ClassEntry:
    """Read `label: prompt; prompt` or `prompt; prompt`, where the first prompt is the label.

    A colon divides only where a blank follows it, so that `ratio 16:9` is one name.

    Args:
        text: the entry.
        where: its place, for messages.

    Raises:
        PromptError: the label or a prompt is empty or unusable.

    Example:
        >>> parse_entry("feline: cat; tiger", "line 1").prompts
        ('cat', 'tiger')
    """
    text = _repair(text, where, warn=True)
    label, colon, rest = _split_label(text)
    parts = rest.split(";")
    if len(parts) > 1 and any(not part.strip() for part in parts):
        raise PromptError(
            f"empty synonym in {text!r}",
            where=where,
            expected="a name between semicolons",
            fix="remove the extra semicolon",
        )
    if not colon and _COLON_IN_WORD.match(text):
        warnings.warn(
            f"{_at(where)}{text!r}: the colon is taken as part of the name; "
            "write a blank after it to give a label",
            stacklevel=2,
        )
    prompts = distinct(clean_name(part, where=where) for part in parts)
    shown = clean_name(label, where=where, warn=name_key(label) != name_key(prompts[0]))
    return ClassEntry(shown if colon else prompts[0], prompts, where)


def file_lines(text: str, path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield (line, place) of the lines that are neither blank nor a comment."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield line, f"{path}, line {number}"


def read_text_file(path: str | Path) -> str:
    """Read a text file into its canonical form.

    That is: UTF-8 without byte order mark, LF line ends, no blanks at line ends, one LF at the end.
    For a file that is already so, hashing the result gives what `sha256sum` gives.

    Raises:
        PromptError: the file cannot be read or is not UTF-8.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PromptError(
            f"cannot be read ({error.strerror or error})",
            where=path,
            expected="a text file with one entry a line",
        ) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PromptError(
            f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} (line {line})",
            where=path,
            expected="UTF-8 text",
            fix="save the file as UTF-8",
        ) from error
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip(" \t") for line in lines).rstrip("\n") + "\n"


def _split_label(text: str) -> tuple[str, str, str]:
    found = re.search(r":(?=\s|$)", text)
    if found is None or ";" in text[: found.start()]:
        return text, "", text
    return text[: found.start()], ":", text[found.end() :]


def _repair(text: str, where: str | None, warn: bool) -> str:
    plain = fixed = " ".join(text.split())
    if not plain.isascii() or "&" in plain:
        import ftfy

        for _ in range(_MOST_ROUNDS):
            before = fixed
            fixed = " ".join(html.unescape(html.unescape(ftfy.fix_text(before))).split())
            if fixed == before:
                break
    if warn and fixed != plain:
        warnings.warn(f"{_at(where)}{plain!r} was cleaned to {fixed!r}", stacklevel=2)
    return fixed


def _at(where: str | None) -> str:
    return "" if where is None else f"{where}: "
