"""Colors for classes: distinct ones for any number of classes, or the user's own."""

from __future__ import annotations

import functools
import itertools
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from ovseg.errors import ConfigError

__all__ = ["Color", "distinct_colors", "parse_palette"]

Color = tuple[int, int, int]

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_NUMBERS = re.compile(r"(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[, ]\s*(\d{1,3})")


def distinct_colors(count: int) -> tuple[Color, ...]:
    """Colors that are told apart as well as their number allows; always the same ones.

    The first 256 stand in `distinct.txt`, each picked as far as possible (in CIELAB) from all
    before it, so a class keeps its color when classes are added behind it. More follow from a
    fixed shuffle without repetition.

    Args:
        count: how many, up to 262,144.

    Returns:
        RGB colors, 0..255.

    Raises:
        ConfigError: `count` is out of range.

    Example:
        >>> distinct_colors(3) == distinct_colors(40)[:3]
        True
    """
    if not 0 <= count <= 64**3:
        raise ConfigError(f"{count} colors", where="palette", expected="0 to 262,144")
    return tuple(itertools.islice(itertools.chain(_picked(), _further()), count))


def parse_palette(
    spec: str | os.PathLike[str] | Sequence[str | Sequence[int]], count: int
) -> tuple[Color, ...]:
    """Read a palette.

    Args:
        spec: colors as `#rrggbb`, `#rgb` or three numbers 0..255; a list of them, or a text file
            with one a line (after `label:` if you like; `# ` starts a comment line).
        count: number of classes.

    Returns:
        The first `count` colors.

    Raises:
        ConfigError: no such file, a color that cannot be read, or too few of them.

    Example:
        >>> parse_palette(["#ff0000", "#0f0", (0, 0, 255)], 3)
        ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    """
    if isinstance(spec, (str, os.PathLike)):
        colors, place = _read_lines(spec), os.fspath(spec)
    else:
        values = (v if isinstance(v, str) else " ".join(map(str, v)) for v in spec)
        colors = [_color(v, f"palette, color {n}") for n, v in enumerate(values, start=1)]
        place = "palette"
    if len(colors) < count:
        raise ConfigError(
            f"{len(colors)} colors for {count} classes",
            where=place,
            expected="a color for every class",
            fix="add colors or leave the palette out",
        )
    _warn_equal(colors[:count], place)
    return tuple(colors[:count])


def _read_lines(path: str | os.PathLike[str]) -> list[Color]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(
            f"the palette cannot be read ({getattr(error, 'strerror', None) or error})",
            where=path,
            expected="a text file with a color a line, such as #ff0000",
        ) from error
    colors = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and text != "#" and not text.startswith(("# ", "#\t")):
            colors.append(_color(text.rsplit(":", 1)[-1].strip(), f"{path}, line {number}"))
    return colors


def _color(text: str, where: str) -> Color:
    if numbers := _NUMBERS.fullmatch(text):
        red, green, blue = (int(v) for v in numbers.groups())
        if max(red, green, blue) <= 255:
            return red, green, blue
    elif hexadecimal := _HEX.fullmatch(text):
        digits = (
            hexadecimal[1] if len(hexadecimal[1]) == 6 else re.sub("(.)", r"\1\1", hexadecimal[1])
        )
        red, green, blue = bytes.fromhex(digits)
        return red, green, blue
    raise ConfigError(
        f"{text!r} is not a color", where=where, expected="#rrggbb, #rgb or three numbers 0..255"
    )


def _warn_equal(colors: Sequence[Color], where: str) -> None:
    first: dict[Color, int] = {}
    for index, color in enumerate(colors):
        if first.setdefault(color, index) != index:
            warnings.warn(
                f"{where}: classes {first[color]} and {index} have the same color {color}",
                stacklevel=3,
            )


@functools.cache
def _picked() -> tuple[Color, ...]:
    return tuple(_read_lines(Path(__file__).parent / "distinct.txt"))


def _further() -> Iterator[Color]:
    """Colors that are not picked: a 64^3 lattice in steps of a number prime to its size."""
    used = set(_picked())
    for index in range(64**3):
        code = index * 104_729 % 64**3
        color = (code >> 12) * 4 + 1, (code >> 6 & 63) * 4 + 1, (code & 63) * 4 + 1
        if color not in used:
            yield color
