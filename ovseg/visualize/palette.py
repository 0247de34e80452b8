"""Colours for classes: distinct ones for any number of classes, or the user's own."""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ovseg.errors import ConfigError

__all__ = ["Colour", "distinct_colours", "parse_palette"]

Colour = tuple[int, int, int]

_PICKED = 256
_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_NUMBERS = re.compile(r"(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[, ]\s*(\d{1,3})")


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """Colours that are told apart as well as their number allows; always the same ones.

    The first 256 are picked one by one, each as far as possible (in CIELAB) from all before it,
    so a class keeps its colour when classes are added behind it. More follow from a fixed
    shuffle without repetition.

    Args:
        count: how many, up to 262,144.

    Returns:
        RGB colours, 0..255.

    Raises:
        ConfigError: `count` is out of range.

    Example:
        >>> distinct_colours(3) == distinct_colours(40)[:3]
        True
    """
    if not 0 <= count <= 64**3:
        raise ConfigError(f"{count} colours", where="palette", expected="0 to 262,144")
    colours = _picked() if count <= _PICKED else _picked() + _shuffled(count - _PICKED)
    return colours[:count]


def parse_palette(
    spec: str | os.PathLike[str] | Sequence[str | Sequence[int]], count: int
) -> tuple[Colour, ...]:
    """Read a palette.

    Args:
        spec: colours as `#rrggbb`, `#rgb` or three numbers 0..255; a list of them, or a text file
            with one a line (after `label:` if you like; `# ` starts a comment line).
        count: number of classes.

    Returns:
        The first `count` colours.

    Raises:
        ConfigError: no such file, a colour that cannot be read, or too few of them.

    Example:
        >>> parse_palette(["#ff0000", "#0f0", (0, 0, 255)], 3)
        ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    """
    colours = _read_lines(spec) if isinstance(spec, (str, os.PathLike)) else _read_list(spec)
    if len(colours) < count:
        raise ConfigError(
            f"{len(colours)} colours for {count} classes",
            where=_place(spec),
            expected="a colour for every class",
            fix="add colours or leave the palette out",
        )
    colours = colours[:count]
    _warn_equal(colours, _place(spec))
    return tuple(colours)


def _read_lines(path: str | os.PathLike[str]) -> list[Colour]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(
            f"the palette cannot be read ({getattr(error, 'strerror', None) or error})",
            where=path,
            expected="a text file with a colour a line, such as #ff0000",
        ) from error
    colours = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and text != "#" and not text.startswith(("# ", "#\t")):
            colours.append(_colour(text.rsplit(":", 1)[-1].strip(), f"{path}, line {number}"))
    return colours


def _read_list(values: Sequence[str | Sequence[int]]) -> list[Colour]:
    return [
        _colour(
            value if isinstance(value, str) else " ".join(str(v) for v in value),
            f"palette, colour {number}",
        )
        for number, value in enumerate(values, start=1)
    ]


def _colour(text: str, where: str) -> Colour:
    hexadecimal = _HEX.fullmatch(text)
    numbers = _NUMBERS.fullmatch(text)
    if hexadecimal and (text.startswith("#") or not numbers):
        digits = (
            hexadecimal[1] if len(hexadecimal[1]) == 6 else "".join(c * 2 for c in hexadecimal[1])
        )
        values = [int(digits[i : i + 2], 16) for i in (0, 2, 4)]
    else:
        values = [int(v) for v in numbers.groups()] if numbers else [256]
    if max(values) > 255:
        raise ConfigError(
            f"{text!r} is not a colour",
            where=where,
            expected="#rrggbb, #rgb or three numbers 0..255",
        )
    return values[0], values[1], values[2]


def _warn_equal(colours: Sequence[Colour], where: str) -> None:
    first: dict[Colour, int] = {}
    for index, colour in enumerate(colours):
        if first.setdefault(colour, index) != index:
            warnings.warn(
                f"{where}: classes {first[colour]} and {index} have the same colour {colour}",
                stacklevel=3,
            )


def _place(spec: object) -> str:
    return str(spec) if isinstance(spec, (str, os.PathLike)) else "palette"


@functools.cache
def _picked() -> tuple[Colour, ...]:
    """Greedy farthest points in CIELAB among colours that are neither dull, dark nor pale."""
    steps = np.linspace(0, 255, 16).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _to_lab(grid)
    vivid = (lab[:, 0] > 30) & (lab[:, 0] < 90) & (np.hypot(lab[:, 1], lab[:, 2]) > 22)
    grid, lab = grid[vivid], lab[vivid]
    index = int(np.argmin(np.abs(grid.astype(int) - (221, 51, 51)).sum(axis=1)))
    nearest = np.full(len(grid), np.inf)
    chosen = []
    for _ in range(_PICKED):
        chosen.append(index)
        nearest = np.minimum(nearest, ((lab - lab[index]) ** 2).sum(axis=1))
        index = int(np.argmax(nearest))
    return tuple((int(r), int(g), int(b)) for r, g, b in grid[chosen])


def _shuffled(count: int) -> tuple[Colour, ...]:
    """`count` further colours: a 64^3 lattice in steps of a number prime to its size."""
    used = set(_picked())
    colours: list[Colour] = []
    for index in range(64**3):
        if len(colours) == count:
            break
        code = index * 104_729 % 64**3
        colour = (code >> 12) * 4 + 1, (code >> 6 & 63) * 4 + 1, (code & 63) * 4 + 1
        if colour not in used:
            colours.append(colour)
    return tuple(colours)


def _to_lab(rgb: np.ndarray) -> np.ndarray:
    """Turn sRGB (N, 3) uint8 into CIELAB under D65 (IEC 61966-2-1, CIE 15)."""
    unit = rgb / 255.0
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / (0.9505, 1.0, 1.089)
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    lightness = 116 * root[:, 1] - 16
    return np.stack(
        [lightness, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1
    )
