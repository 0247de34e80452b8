"""Prompt templates (row 41 of the table of bad inputs)."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest

from ovseg.errors import ConfigError, PromptError
from ovseg.prompts.templates import fill_template, load_templates, template_names

COUNTS = {
    "imagenet80": 80,
    "maskclip85": 85,
    "vild14": 14,
    "imagenet7": 7,
    "laion2": 2,
    "photo": 1,
    "a": 1,
    "none": 1,
}


def test_names() -> None:
    assert set(template_names()) == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_builtin(name: str) -> None:
    templates = load_templates(name)
    assert len(set(templates)) == COUNTS[name]


def test_imagenet_sets() -> None:
    imagenet = tuple(t("{}") for t in open_clip.OPENAI_IMAGENET_TEMPLATES)
    assert load_templates("imagenet80") == imagenet
    assert load_templates("maskclip85")[:80] == imagenet
    assert set(load_templates("imagenet7")) < set(imagenet)


def test_short_sets() -> None:
    assert load_templates("photo") == ("a photo of a {}.",)
    assert load_templates("laion2") == ("a photo of a {}", "a photo of an {}")
    assert load_templates("a") == ("a {}",)
    assert load_templates("none") == ("{}",)
    assert load_templates("vild14")[1:3] == (
        "This is a photo of a {}",
        "There is a {} in the scene",
    )


def test_own_templates(tmp_path: Path) -> None:
    file = tmp_path / "templates.txt"
    file.write_bytes("\ufeff# mine\r\na {}.\r\n\r\nthe {}\t\r\n".encode())
    assert load_templates(file) == load_templates(str(file)) == ("a {}.", "the {}")
    assert load_templates("a drawing of a {}") == ("a drawing of a {}",)
    assert load_templates(["a {}", "{}"]) == ("a {}", "{}")


@pytest.mark.parametrize("bad", ["a photo", "{} and {}", "a { }", "{0}", ""])
def test_not_one_place_for_the_name(bad: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"template 2: .*exactly one \{\}"):
        load_templates(["a {}", bad])
    if bad:
        file = tmp_path / "templates.txt"
        file.write_text(f"a {{}}\n{bad}\n")
        with pytest.raises(ConfigError, match=r"templates\.txt, line 2"):
            load_templates(file)


@pytest.mark.parametrize("source", [None, 80])
def test_neither_name_nor_list(source: object) -> None:
    with pytest.raises(ConfigError, match=f"templates {source}; expected the name of a set"):
        load_templates(source)


def test_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no template"):
        load_templates([])
    with pytest.raises(ConfigError, match="imagenet80"):
        load_templates("imagenet8")
    file = tmp_path / "templates.txt"
    file.write_bytes(b"a {}\n\xff{}\n")
    with pytest.raises(PromptError, match="offset 5"):
        load_templates(file)


def test_braces_in_a_name_stay() -> None:
    assert fill_template("a {}.", "set {} of {x}") == "a set {} of {x}."
