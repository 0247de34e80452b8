"""Things of the house, as drawing functions: each has a few variants and free proportions."""

from __future__ import annotations

import math

import numpy as np

from ovseg.scenes.colors import RGB, contrast, mix_colors
from ovseg.scenes.pen import Pen, around

_WHITE: RGB = (250, 250, 248)
_DARK: RGB = (40, 38, 42)
_WOOD: RGB = (126, 84, 50)
_BRASS: RGB = (206, 168, 84)


def cup(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A mug with a handle: straight or rounded, plain, banded or dotted, at times on a saucer."""
    top, foot = rng.uniform(0.18, 0.24), 0.92
    left, right = 0.1, rng.uniform(0.68, 0.72)
    taper = rng.uniform(0.0, 0.1)
    shade = contrast(color, 0.25)
    if rng.random() < 0.3:
        pen.ellipse(0.5 * (left + right), foot, 0.42, 0.06, mix_colors(color, _WHITE, 0.4))
    pen.line(around(right, 0.5, 0.2, 0.19, -95, 95), shade, 0.085)
    middle, wide = 0.5 * (left + right), 0.5 * (right - left)
    if rng.random() < 0.35:
        bowl = around(middle, top, wide, foot - top, 0, 180)
        pen.polygon(bowl, color)
        pen.rectangle(middle - 0.15, foot - 0.05, middle + 0.15, foot + 0.02, shade)
    else:
        low = around(middle, foot - 0.04, wide - taper, 0.06, 0, 180)
        pen.polygon(np.concatenate([[(left, top), (right, top)], low]), color)
    with pen.inside():
        _glaze(pen, color, middle, wide, rng)
    pen.ellipse(middle, top, wide, 0.07, shade)
    pen.ellipse(middle, top + 0.01, wide - 0.04, 0.05, (92, 56, 34))


def _glaze(pen: Pen, color: RGB, middle: float, wide: float, rng: np.random.Generator) -> None:
    ink = contrast(color, 0.5) if min(color) > 180 else _WHITE
    kind = rng.integers(4)
    if kind == 0:
        y = rng.uniform(0.42, 0.66)
        pen.line(around(middle, y, wide, 0.06, 0, 180), ink, 0.07)
    elif kind == 1:
        for x, y in ((-0.5, 0.45), (0.0, 0.5), (0.5, 0.45), (-0.25, 0.66), (0.25, 0.66)):
            pen.disc(middle + wide * x, y, 0.04, ink)
    elif kind == 2:
        pen.disc(middle - 0.055, 0.52, 0.065, ink)
        pen.disc(middle + 0.055, 0.52, 0.065, ink)
        pen.polygon(((middle - 0.115, 0.55), (middle + 0.115, 0.55), (middle, 0.7)), ink)
    pen.line(
        ((middle - wide * 0.8, 0.34), (middle - wide * 0.78, 0.7)),
        mix_colors(color, _WHITE, 0.35),
        0.03,
    )


def clock(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A dial with marks and hands in a round or square case, or an alarm clock with bells."""
    kind = rng.integers(3)
    x, y, size = 0.5, 0.5, rng.uniform(0.42, 0.48)
    trim = contrast(color, 0.3)
    if kind == 1:
        pen.rectangle(0.05, 0.05, 0.95, 0.95, color, corner=rng.uniform(0.04, 0.2))
        size = 0.43
    elif kind == 2:
        y, size = 0.56, rng.uniform(0.36, 0.4)
        pen.line(around(0.5, 0.16, 0.1, 0.1, 180, 360), trim, 0.03)
        for side in (-1, 1):
            pen.ellipse(0.5 + side * 0.24, 0.17, 0.15, 0.1, trim, side * 32)
            pen.line(((0.5 + side * 0.2, 0.85), (0.5 + side * 0.3, 0.96)), trim, 0.06)
        pen.disc(x, y, size, color)
    else:
        pen.disc(x, y, size, color)
    face = mix_colors(_WHITE, color, rng.uniform(0, 0.12))
    ink = _DARK
    if rng.random() < 0.45:
        face, ink = mix_colors(color, _WHITE, 0.12), _WHITE if min(color) < 180 else _DARK
        pen.disc(x, y, size * 0.86, trim)
    _dial(pen, x, y, size * 0.72, face, ink, rng)


def _dial(
    pen: Pen, x: float, y: float, radius: float, face: RGB, ink: RGB, rng: np.random.Generator
) -> None:
    pen.disc(x, y, radius, face)
    for hour in range(0, 12, 1 if rng.random() < 0.6 else 3):
        dx, dy = math.cos(math.radians(30 * hour)), math.sin(math.radians(30 * hour))
        near = radius * (0.76 if hour % 3 == 0 else 0.82)
        far = radius * 0.9
        pen.line(((x + near * dx, y + near * dy), (x + far * dx, y + far * dy)), ink, 0.022)
    for share, width in ((0.48, 0.04), (0.74, 0.026)):
        angle = rng.uniform(0, 2 * math.pi)
        tip = (x + share * radius * math.cos(angle), y + share * radius * math.sin(angle))
        pen.line(((x, y), tip), ink, width)
    pen.disc(x, y, 0.03, ink)


def lamp(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A shade on a foot: conical, domed or drum-shaped, plain or striped."""
    rim, top = rng.uniform(0.46, 0.54), rng.uniform(0.1, 0.18)
    wide, crown = rng.uniform(0.34, 0.42), rng.uniform(0.14, 0.2)
    metal = (_BRASS, _DARK, _WOOD, (170, 172, 178))[rng.integers(4)]
    if rng.random() < 0.45:
        belly = ((0.46, rim), (0.54, rim), (0.62, 0.72), (0.55, 0.92), (0.45, 0.92), (0.38, 0.72))
        pen.smooth(belly, contrast(color, 0.25))
    else:
        pen.rectangle(0.475, rim - 0.02, 0.525, 0.94, metal)
    pen.ellipse(0.5, 0.94, rng.uniform(0.2, 0.27), 0.045, metal)
    pen.ellipse(0.5, rim + 0.02, 0.05, 0.045, (255, 240, 170))
    kind = rng.integers(3)
    if kind == 0:
        pen.polygon(around(0.5, rim, wide, rim - 0.08, 180, 360), color)
    else:
        crown = wide * 0.85 if kind == 2 else crown
        shade = ((0.5 - crown, top), (0.5 + crown, top), (0.5 + wide, rim), (0.5 - wide, rim))
        pen.polygon(shade, color)
    trim = contrast(color, 0.3)
    with pen.inside():
        if rng.random() < 0.35:
            for x in (-0.7, -0.35, 0.0, 0.35, 0.7):
                foot = (0.5 + wide * x, rim - 0.02)
                pen.line(((0.5 + crown * x, top - 0.1), foot), trim, 0.022)
        else:
            pen.ellipse(
                0.5 - wide * 0.3, rim - 0.14, 0.06, 0.16, mix_colors(color, _WHITE, 0.35), 15
            )
    pen.line(((0.5 - wide + 0.02, rim - 0.02), (0.5 + wide - 0.02, rim - 0.02)), trim, 0.04)


def chair(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """Seen from the front, a little to one side: slatted, barred or solid back and four legs."""
    skew, seat = rng.uniform(0.04, 0.12), rng.uniform(0.52, 0.58)
    top, left, right = rng.uniform(0.02, 0.08), 0.2, 0.72
    dark = contrast(color, 0.28)
    for x in (left + skew + 0.02, right + skew):
        pen.line(((x, seat), (x, 0.86)), dark, 0.06)
    kind = rng.integers(3)
    back = (left + skew, right + skew)
    if kind == 0:
        pen.rectangle(back[0] - 0.03, top, back[1] + 0.03, seat, color, corner=0.08)
        pen.rectangle(back[0] + 0.05, top + 0.08, back[1] - 0.05, seat - 0.08, dark, corner=0.05)
    else:
        rails = np.linspace(top + 0.06, seat - 0.12, 3) if kind == 1 else (top + 0.06,)
        for y in rails:
            pen.line(((back[0], y), (back[1], y)), color, 0.09)
        for x in np.linspace(*back, 5)[1:-1] if kind == 2 else ():
            pen.line(((x, top + 0.06), (x, seat)), color, 0.055)
    for x in back:
        pen.line(((x, top + 0.03), (x, seat)), color, 0.075)
    pen.polygon(
        ((back[0] - 0.04, seat - 0.05), (back[1] + 0.04, seat - 0.05),
         (right + 0.06, seat + 0.1), (left - 0.08, seat + 0.1)),
        mix_colors(color, _WHITE, 0.15),
    )  # fmt: skip
    pen.rectangle(left - 0.08, seat + 0.09, right + 0.06, seat + 0.16, dark)
    for x in (left - 0.04, right + 0.02):
        pen.line(((x, seat + 0.14), (x, 0.95)), color, 0.075)
