"""Prompt templates: the sentences that a class name is put into."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ovseg.errors import ConfigError
from ovseg.prompts.class_names import file_lines, read_text_file

__all__ = ["fill_template", "load_templates", "template_names"]

_FOLDER = Path(__file__).parents[1] / "vocabularies" / "templates"


def template_names() -> tuple[str, ...]:
    """Names of the built-in sets, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.txt")))


def load_templates(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Load prompt templates.

    Args:
        source: the name of a built-in set ("imagenet80", "maskclip85", "vild14", "imagenet7",
            "laion2", "photo", "a", "none"), a file with one template a line (`#` starts a
            comment), one template, or a list of templates.

    Returns:
        The templates, each with one `{}`.

    Raises:
        ConfigError: no such set or file, no template, or a template without exactly one `{}`.
        PromptError: the file is not UTF-8.

    Example:
        >>> load_templates("photo")
        ('a photo of a {}.',)
        >>> load_templates(["a drawing of a {}"])
        ('a drawing of a {}',)
    """
    if not isinstance(source, str | Path | Iterable):
        raise ConfigError(
            f"templates {source!r}",
            where="templates",
            expected="the name of a set, a file, or a list of templates",
        )
    if not isinstance(source, str | Path):
        return _check_templates(
            [(template, f"template {i}") for i, template in enumerate(source, 1)]
        )
    name = str(source)
    if name in template_names():
        path = _FOLDER / f"{name}.txt"
    elif os.path.isfile(name):
        path = Path(name)
    elif "{" in name:
        return _check_templates([(name, "template")])
    else:
        near = difflib.get_close_matches(name, template_names(), n=3)
        raise ConfigError(
            f"no template set or file {name!r}",
            where="templates",
            expected=f"one of {', '.join(near or template_names())}, a file, or text with {{}}",
        )
    return _check_templates(list(file_lines(read_text_file(path), path)))


def fill_template(template: str, name: str) -> str:
    """Put a name into a template; braces within the name stay as they are.

    Example:
        >>> fill_template("a photo of a {}.", "cat")
        'a photo of a cat.'
    """
    return template.replace("{}", name)


def _check_templates(templates: Sequence[tuple[object, str]]) -> tuple[str, ...]:
    for template, where in templates:
        if not isinstance(template, str) or template.count("{}") != 1:
            raise ConfigError(
                f"template {template!r}",
                where=where,
                expected="exactly one {} where the name goes",
                fix="for example 'a photo of a {}.'",
            )
    if not templates:
        raise ConfigError("no template", where="templates", expected="at least one, such as '{}'")
    return tuple(str(template).strip() for template, _ in templates)
