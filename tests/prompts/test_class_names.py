"""Cleaning names and reading entries (rows 30, 34, 35, 38 to 40 of the table of bad inputs)."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovseg.errors import PromptError
from ovseg.prompts.class_names import clean_name, name_key, parse_entry, read_text_file

CONTROL_TOKENS = [
    "<end_of_text>",
    "<start_of_text>",
    "<|endoftext|>",
    "<|startoftext|>",
    "<END_of_text>",
    "</s>",
    "<pad>",
    "&lt;end_of_text&gt;",
    "&amp;amp;lt;end_of_text&amp;amp;gt;",
    "\uff1cend_of_text\uff1e",
]


@pytest.mark.parametrize("token", CONTROL_TOKENS)
@pytest.mark.filterwarnings("ignore:.*was cleaned")
def test_control_token_is_broken_by_a_blank(token: str) -> None:
    with pytest.warns(UserWarning, match="control token"):
        name = clean_name(f"red {token} car")
    assert name.startswith("red < ")
    assert name.endswith("> car")


@pytest.mark.parametrize("token", [t for t in CONTROL_TOKENS if "text" in t])
def test_tokenizer_sees_no_control_token(token: str) -> None:
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    ids = tokenizer(clean_name(f"red {token} car", warn=False))[0].tolist()
    assert ids.count(tokenizer.sot_token_id) == 1
    assert ids.count(tokenizer.eot_token_id) == 1


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("caf&eacute;", "caf\u00e9"),
        ("caf\u00c3\u00a9", "caf\u00e9"),
        ("potter\u2019s wheel", "potter's wheel"),
    ],
)
def test_changed_text_is_reported(name: str, cleaned: str) -> None:
    with pytest.warns(UserWarning, match="was cleaned to"):
        assert clean_name(name) == cleaned


@pytest.mark.parametrize("name", ["red car", "AT&T sign", "\U0001f431 cat", "חתול", "кот cat 猫"])
def test_other_text_stays_as_it_is(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clean_name(f" \t{name} ") == name


@pytest.mark.parametrize("name", ["", "  \t", "\u200b", "&nbsp;", "\u00a0"])
def test_invisible_name(name: str) -> None:
    with pytest.raises(PromptError, match="class 3: empty class name"):
        clean_name(name, where="class 3", warn=False)


@pytest.mark.parametrize("character", ["\0", "\x07", "\x1b"])
def test_control_character(character: str) -> None:
    with pytest.raises(PromptError, match=r"class 2: control character U\+.* at index 3"):
        clean_name(f"red{character}car", where="class 2", warn=False)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    try:
        once = clean_name(text, warn=False)
    except PromptError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clean_name(once) == once


@pytest.mark.parametrize(
    ("text", "label", "prompts"),
    [
        ("cat", "cat", ("cat",)),
        ("cat; feline;kitty", "cat", ("cat", "feline", "kitty")),
        ("pet: cat;\tdog", "pet", ("cat", "dog")),
        ("pet:\tcat", "pet", ("cat",)),
        ("building, edifice", "building, edifice", ("building, edifice",)),
        ("ratio 16:9", "ratio 16:9", ("ratio 16:9",)),
        ("clock; 10:30; a: b", "clock", ("clock", "10:30", "a: b")),
        ("film: Alien: the return", "film", ("Alien: the return",)),
        ("sky: sky", "sky", ("sky",)),
        ("cat; Cat; feline", "cat", ("cat", "feline")),
    ],
)
def test_entry(text: str, label: str, prompts: tuple[str, ...]) -> None:
    entry = parse_entry(text, "line 1")
    assert (entry.label, entry.prompts) == (label, prompts)


@pytest.mark.parametrize("text", ["cat;;feline", "cat;", "; cat", "pet: cat; ;dog"])
def test_empty_synonym(text: str) -> None:
    with pytest.raises(PromptError, match="line 7: empty synonym"):
        parse_entry(text, "line 7")


@pytest.mark.parametrize("text", ["pet:", ": cat", "pet: "])
def test_empty_label_or_query(text: str) -> None:
    with pytest.raises(PromptError, match="line 7"):
        parse_entry(text, "line 7")


def test_label_without_a_blank_is_questioned() -> None:
    with pytest.warns(UserWarning, match="write a blank after it"):
        assert parse_entry("pet:cat", "line 1").prompts == ("pet:cat",)


def test_key_ignores_case_and_blanks() -> None:
    assert name_key(" Traffic\tLIGHT ") == name_key("trafficlight")
    assert name_key("STRASSE") == name_key("straße")


def test_canonical_text(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes("\ufeffcat \t\r\ndog\t; puppy\rcow\n\n\n".encode())
    assert read_text_file(file) == "cat\ndog\t; puppy\ncow\n"


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(b"cat\ndog\ncaf\xe9\n")
    with pytest.raises(
        PromptError, match=r"classes.txt: not UTF-8: byte 0xe9 at offset 11 .line 3"
    ):
        read_text_file(file)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="cannot be read"):
        read_text_file(tmp_path)
