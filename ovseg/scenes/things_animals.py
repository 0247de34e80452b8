"""Animals, as drawing functions: each has a few variants and free proportions."""

from __future__ import annotations

import numpy as np

from ovseg.scenes.colors import RGB, contrast, is_dark, mix_colors
from ovseg.scenes.pen import Pen, around

_WHITE: RGB = (250, 250, 248)
_DARK: RGB = (36, 34, 38)
_BEAK: RGB = (240, 156, 40)


def bird(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A small bird from the side: standing with a folded wing, or flying with raised wings."""
    wing = contrast(color, rng.uniform(0.2, 0.35))
    plump = rng.uniform(0.15, 0.19)
    flying = rng.random() < 0.45
    if flying:
        tip = rng.uniform(0.02, 0.08)
        pen.smooth(((0.5, 0.5), (0.34, 0.2), (0.3, tip), (0.52, 0.2), (0.62, 0.45)), wing)
    else:
        for x in (0.46, 0.56):
            pen.line(((x, 0.7), (x + 0.02, 0.93), (x + 0.08, 0.95)), _BEAK, 0.022)
    fork = rng.uniform(0.0, 0.06)
    tail = ((0.3, 0.52), (0.02, 0.44), (0.06 + fork, 0.54), (0.02, 0.62), (0.3, 0.66))
    pen.polygon(tail, wing)
    body = ((0.16, 0.55), (0.35, 0.57 - plump), (0.6, 0.54 - plump), (0.8, 0.52), (0.7, 0.7))
    pen.smooth((*body, (0.48, 0.58 + plump), (0.28, 0.66)), color)
    pen.polygon(((0.88, 0.33), (0.99, 0.4), (0.88, 0.44)), _BEAK)
    pen.disc(0.77, 0.39, 0.15, color)
    belly = mix_colors(color, _WHITE, 0.45)
    with pen.inside():
        if rng.random() < 0.6:
            pen.ellipse(0.66, 0.7, 0.2, 0.12, belly, -25)
    if flying:
        pen.smooth(((0.36, 0.52), (0.2, 0.3), (0.14, 0.1), (0.4, 0.22), (0.58, 0.5)), wing)
        pen.line(((0.24, 0.24), (0.45, 0.47)), contrast(wing, 0.2), 0.016)
    else:
        pen.smooth(((0.2, 0.56), (0.36, 0.46), (0.56, 0.48), (0.6, 0.58), (0.42, 0.66)), wing)
    pen.disc(0.8, 0.36, 0.037, _WHITE)
    pen.disc(0.808, 0.36, 0.024, (16, 16, 18))


def butterfly(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """Seen from above: two pairs of wings with borders or spots, a thin body and feelers."""
    body = (196, 170, 130) if is_dark(color) else _DARK
    rim, spot = contrast(color, 0.4), contrast(color, 0.55)
    if rng.random() < 0.5:
        spot = _WHITE if not min(color) > 200 else (240, 160, 60)
    high, low = rng.uniform(0.02, 0.1), rng.uniform(0.86, 0.97)
    bordered = rng.random() < 0.5
    for side in (-1, 1):
        upper = ((0.03, 0.42), (0.22, high + 0.03), (0.42, high), (0.47, 0.3), (0.33, 0.53))
        lower = ((0.03, 0.5), (0.28, 0.5), (0.4, 0.68), (0.26, low), (0.1, low - 0.1))
        for wing in (lower, upper):
            placed = np.array([(0.5 + side * x, y) for x, y in wing])
            pen.smooth(placed, rim if bordered else color)
            if bordered:
                middle = placed.mean(axis=0)
                pen.smooth(middle + 0.78 * (placed - middle), color)
        pen.disc(0.5 + side * 0.3, 0.2 + high, 0.06, spot)
        pen.disc(0.5 + side * 0.25, 0.7, 0.05, spot)
        pen.disc(0.5 + side * 0.19, 0.4, 0.03, spot)
        pen.line(((0.5, 0.24), (0.5 + side * 0.06, 0.1), (0.5 + side * 0.13, 0.05)), body, 0.014)
    pen.ellipse(0.5, 0.52, 0.032, 0.3, body)
    pen.disc(0.5, 0.23, 0.042, body)


def fish(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """Seen from the side: striped or scaled, with a forked or a round tail."""
    deep = rng.uniform(0.2, 0.3)
    fin = contrast(color, 0.25)
    if rng.random() < 0.5:
        tail = ((0.28, 0.5), (0.03, 0.25), (0.1, 0.5), (0.03, 0.75))
        pen.polygon(tail, fin)
    else:
        pen.smooth(
            ((0.3, 0.5), (0.1, 0.28), (0.02, 0.38), (0.06, 0.5), (0.02, 0.62), (0.1, 0.72)), fin
        )
    pen.smooth(
        ((0.36, 0.5 - 0.5 * deep), (0.42, 0.42 - deep), (0.62, 0.45 - deep), (0.72, 0.4)), fin
    )
    pen.polygon(((0.5, 0.5 + 0.8 * deep), (0.42, 0.6 + deep), (0.6, 0.5 + 0.8 * deep)), fin)
    pen.smooth(
        (
            (0.18, 0.5), (0.4, 0.5 - 0.8 * deep), (0.65, 0.5 - deep), (0.88, 0.5 - 0.5 * deep),
            (0.98, 0.51), (0.88, 0.5 + 0.5 * deep), (0.65, 0.5 + deep), (0.4, 0.5 + 0.8 * deep),
        ),
        color,
    )  # fmt: skip
    with pen.inside():
        _fish_coat(pen, color, deep, rng)
    pen.polygon(((0.6, 0.52), (0.46, 0.48), (0.46, 0.62)), fin)
    pen.disc(0.84, 0.45, 0.055, _WHITE)
    pen.disc(0.85, 0.45, 0.033, (16, 16, 18))
    pen.line(((0.97, 0.55), (0.9, 0.575)), contrast(color, 0.6), 0.016)


def _fish_coat(pen: Pen, color: RGB, deep: float, rng: np.random.Generator) -> None:
    kind = rng.integers(3)
    if kind == 0:
        stripe = _WHITE if rng.random() < 0.5 and min(color) < 180 else contrast(color, 0.35)
        for x in (0.4, 0.56, 0.7)[: int(rng.integers(2, 4))]:
            pen.line(around(x - 0.3, 0.5, 0.3, deep * 1.3, -60, 60), stripe, 0.05)
    elif kind == 1:
        for row, y in enumerate((0.5 - 0.5 * deep, 0.5, 0.5 + 0.5 * deep)):
            for x in np.arange(0.34, 0.7, 0.12) + 0.06 * (row % 2):
                pen.line(around(x, y, 0.05, 0.05, -80, 80), contrast(color, 0.3), 0.018)
    else:
        pen.ellipse(0.6, 0.56 + deep, 0.4, 0.75 * deep, mix_colors(color, _WHITE, 0.4))
