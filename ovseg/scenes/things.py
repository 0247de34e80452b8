"""Draws a thing of the synthetic world as a small image with transparency."""

from __future__ import annotations

import math

import numpy as np

from ovseg.errors import InputError, PromptError
from ovseg.scenes.colors import COLORS, sample_color
from ovseg.scenes.pen import Pen
from ovseg.scenes.things_catalogue import THINGS, Thing

__all__ = ["MAX_SIDE", "MIN_SIDE", "THINGS", "Thing", "render_thing"]

MIN_SIDE = 8
MAX_SIDE = 4096

_SMALL = 32
_OUTLINED = 0.4
_LIGHT = 26


def render_thing(
    name: str, color: str | None, side: int, tilt: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one thing; the same generator state gives the same bytes.

    Args:
        name: a key of `THINGS`.
        color: one of the thing's `colors`; None picks one that training may show, and is the
            only choice for a thing that has no color word.
        side: side of the image in pixels, `MIN_SIDE` to `MAX_SIDE`.
        tilt: rotation in degrees, clockwise. A tilted thing is drawn a little smaller, so that
            nothing is cut off.
        rng: the source of chance: shape, shade, details, mirroring and light.

    Returns:
        Color (side, side, 3) uint8 RGB, not premultiplied, and alpha (side, side) uint8.

    Raises:
        PromptError: if the name is unknown, or the color is not one of this thing's.
        InputError: if the side is out of range or the tilt is not finite.
    """
    thing = _find(name)
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise InputError(
            f"a thing cannot be drawn at {side} px",
            where="side",
            expected=f"{MIN_SIDE} to {MAX_SIDE} px",
        )
    if not math.isfinite(tilt):
        raise InputError(f"a tilt of {tilt}", where="tilt", expected="finite degrees")
    main = sample_color(_color_word(thing, color, rng), rng)
    factor = 4 if side <= _SMALL else 2
    pen = Pen(side * factor, tilt, mirror=bool(rng.random() < 0.5))
    thing.draw(pen, main, rng)
    if rng.random() < _OUTLINED:
        pen.outline(0.25 + 0.2 * rng.random())
    rgb, alpha = pen.shrink(factor)
    return _light(rgb, int(rng.integers(_LIGHT))), alpha


def _find(name: str) -> Thing:
    if name not in THINGS:
        raise PromptError(
            f"unknown thing {name!r}", where="name", expected="one of " + ", ".join(THINGS)
        )
    return THINGS[name]


def _color_word(thing: Thing, color: str | None, rng: np.random.Generator) -> str:
    if color is None:
        seen = [word for word in thing.colors if word not in thing.held_out_colors]
        # A thing without a color word paints itself; any shade will do as its unused main color.
        return seen[rng.integers(len(seen))] if seen else "grey"
    if color in thing.colors:
        return color
    if color not in COLORS:
        raise PromptError(
            f"unknown color {color!r}", where="color", expected="one of " + ", ".join(COLORS)
        )
    raise PromptError(
        f"{thing.name!r} is not drawn in {color}",
        where="color",
        expected="one of " + ", ".join(thing.colors) if thing.colors else "None",
    )


def _light(rgb: np.ndarray, strength: int) -> np.ndarray:
    """Lights an image from above: brighter at the top, darker at the bottom, in 1/256 steps."""
    side = len(rgb)
    ramp = 256 + strength // 2 - np.arange(side) * (2 * strength) // side
    lit = rgb * ramp.astype(np.uint32)[:, None, None] >> 8
    return np.minimum(lit, 255).astype(np.uint8)
