"""Things to carry or wear, as drawing functions: each has a few variants and free proportions."""

from __future__ import annotations

import math

import numpy as np

from ovseg.scenes.colors import RGB, contrast, is_dark, mix_colors, sample_color
from ovseg.scenes.pen import Pen, around

_WHITE: RGB = (250, 250, 248)
_DARK: RGB = (40, 38, 42)
_WOOD: RGB = (126, 84, 50)
_INKS = ("red", "yellow", "blue", "white", "black")


def _second_color(color: RGB, rng: np.random.Generator) -> RGB:
    """A color for details that shows on the main color."""
    ink = sample_color(_INKS[rng.integers(len(_INKS))], rng)
    distance = sum(abs(a - b) for a, b in zip(ink, color, strict=True))
    return ink if distance >= 150 else contrast(color, 0.6)


def ball(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A beach ball, a ball with a band and a star, one with seams or one with patches."""
    second = contrast(color, 0.45) if min(color) > 180 else _WHITE
    pen.disc(0.5, 0.5, 0.47, color)
    kind = rng.integers(4)
    with pen.inside():
        if kind == 0:
            _gores(pen, second, int(rng.integers(3, 6)))
        elif kind == 1:
            gap = rng.uniform(0.14, 0.26)
            for y in (0.5 - gap, 0.5 + gap):
                pen.line(((0.0, y), (1.0, y)), second, rng.uniform(0.06, 0.1))
            radii = np.tile((0.11, 0.05), 5)
            angles = np.arange(10) * (math.pi / 5)
            spikes = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
            pen.polygon(0.5 + spikes, second)
        elif kind == 2:
            seam = contrast(color, 0.65)
            pen.line(((0.5, 0.0), (0.5, 1.0)), seam, 0.03)
            pen.line(((0.0, 0.5), (1.0, 0.5)), seam, 0.03)
            for x in (-0.02, 1.02):
                pen.line(around(x, 0.5, 0.3, 0.42), seam, 0.03)
        else:
            _patches(pen, contrast(color, 0.6) if min(color) > 180 else second)
        pen.ellipse(0.34, 0.27, 0.1, 0.06, mix_colors(color, _WHITE, 0.55), -35)


def _gores(pen: Pen, second: RGB, count: int) -> None:
    for turn in range(count):
        start = math.radians(360 / count * turn)
        stop = start + 0.75 * math.pi / count
        edge = [(0.42, 0.44)]
        for angle in (start, 0.5 * (start + stop), stop):
            edge.append((0.42 + 0.8 * math.cos(angle), 0.44 + 0.8 * math.sin(angle)))
        pen.polygon(edge, second)
    pen.disc(0.42, 0.44, 0.07, second)


def _patches(pen: Pen, ink: RGB) -> None:
    def patch(x: float, y: float, radius: float, turn: float) -> None:
        pen.polygon(around(x, y, radius, radius, turn, turn + 360)[::7][:5], ink)

    patch(0.5, 0.5, 0.14, -90)
    for angle in range(-90, 270, 72):
        dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        patch(0.5 + 0.44 * dx, 0.5 + 0.44 * dy, 0.14, angle + 180)
        pen.line(
            ((0.5 + 0.12 * dx, 0.5 + 0.12 * dy), (0.5 + 0.32 * dx, 0.5 + 0.32 * dy)), ink, 0.022
        )


def umbrella(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """An open canopy with scallops and ribs, a shaft and a crook."""
    high, rim = rng.uniform(0.34, 0.42), rng.uniform(0.46, 0.54)
    shaft = _WOOD if is_dark(color) or rng.random() < 0.5 else _DARK
    pen.line(((0.5, 0.02), (0.5, 0.88)), shaft, 0.03)
    pen.line(around(0.57, 0.88, 0.07, 0.08, 0, 180), shaft, 0.035)
    panels = int(rng.integers(3, 6))
    edges = np.linspace(0.02, 0.98, panels + 1)
    dome = around(0.5, rim, 0.48, high, 180, 360)
    second = _WHITE if rng.random() < 0.25 and min(color) < 200 else contrast(color, 0.2)
    pen.polygon(dome, color)
    top = (0.5, rim - high)
    with pen.inside():
        for index in range(1, panels, 2):
            pen.polygon(_panel(top, edges[index], edges[index + 1], rim), second)
    for index in range(panels):
        middle = 0.5 * (edges[index] + edges[index + 1])
        half = 0.5 * (edges[index + 1] - edges[index])
        paint = second if index % 2 else color
        pen.polygon(around(middle, rim - 0.005, half, 0.055, 0, 180), paint)
    pen.disc(0.5, rim - high, 0.022, shaft)


def _panel(top: tuple[float, float], left: float, right: float, rim: float) -> np.ndarray:
    """The part of a dome between two of its ribs, which are quarter ellipses."""
    high = rim - top[1]
    first = around(0.5, rim, left - 0.5, high, 270, 360) if left > 0.5 else None
    if first is None:
        first = around(0.5, rim, 0.5 - left, high, 180, 270)[::-1]
    if right > 0.5:
        second = around(0.5, rim, right - 0.5, high, 270, 360)
    else:
        second = around(0.5, rim, 0.5 - right, high, 180, 270)[::-1]
    return np.concatenate([first, second[::-1]])


def book(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A closed book: standing with a spine and a title plate, or lying with its pages in view."""
    ink = _second_color(color, rng)
    page, spine = (246, 240, 222), contrast(color, 0.28)
    if rng.random() < 0.35:
        _lying_book(pen, color, ink, page)
        return
    right = rng.uniform(0.82, 0.88)
    pen.rectangle(0.14, 0.05, right + 0.03, 0.97, spine, corner=0.03)
    pen.rectangle(0.2, 0.08, right + 0.02, 0.95, page)
    for y in (0.91, 0.935):
        pen.line(((0.2, y), (right, y)), (200, 190, 168), 0.01)
    pen.rectangle(0.12, 0.03, right - 0.01, 0.9, color, corner=0.02)
    pen.rectangle(0.12, 0.03, 0.22, 0.9, spine, corner=0.02)
    _book_front(pen, color, ink, right, rng)
    if rng.random() < 0.4:
        pen.polygon(((0.66, 0.9), (0.74, 0.9), (0.74, 0.99), (0.7, 0.965), (0.66, 0.99)), ink)


def _book_front(pen: Pen, color: RGB, ink: RGB, right: float, rng: np.random.Generator) -> None:
    kind = rng.integers(3)
    middle = 0.5 * (0.22 + right)
    if kind == 0:
        pen.rectangle(0.31, 0.16, right - 0.1, 0.36, ink)
        for y in (0.22, 0.29):
            pen.line(((0.37, y), (right - 0.16, y)), contrast(ink, 0.5), 0.022)
    elif kind == 1:
        for y, half in ((0.2, 0.2), (0.28, 0.15), (0.76, 0.1)):
            pen.line(((middle - half, y), (middle + half, y)), ink, 0.04)
        pen.disc(middle, 0.52, 0.12, ink)
    else:
        for inset in (0.0, 0.028):
            box = (0.28 + inset, 0.1 + inset, right - 0.07 - inset, 0.83 - inset)
            pen.rectangle(*box, color if inset else ink)
        pen.polygon(
            ((middle, 0.3), (middle + 0.13, 0.46), (middle, 0.62), (middle - 0.13, 0.46)), ink
        )


def _lying_book(pen: Pen, color: RGB, ink: RGB, page: RGB) -> None:
    near, far = ((0.02, 0.62), (0.72, 0.74)), ((0.98, 0.42), (0.3, 0.26))
    deep = 0.13
    below = [(x, y + deep) for x, y in (*near, far[0])]
    pen.polygon((near[0], *below, far[0], near[1]), page)
    for share in (0.35, 0.65):
        lines = [(x, y + deep * share) for x, y in (*near, far[0])]
        pen.line(lines, (200, 190, 168), 0.012)
    pen.line(below, color, 0.045)
    pen.line(((near[0][0] + 0.01, near[0][1]), (near[0][0] + 0.01, near[0][1] + deep)), color, 0.05)
    pen.polygon((*near, *far), color)
    pen.polygon(((0.24, 0.575), (0.56, 0.63), (0.76, 0.47), (0.44, 0.41)), ink)
    pen.line((near[0], near[1]), contrast(color, 0.25), 0.025)


def hat(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A top hat, a brimmed sun hat or a woolly hat with a bobble."""
    ink = _second_color(color, rng)
    kind = rng.integers(3)
    if kind == 0:
        top, half = rng.uniform(0.1, 0.24), rng.uniform(0.23, 0.28)
        flare = rng.uniform(-0.03, 0.05)
        pen.ellipse(0.5, 0.8, 0.48, 0.1, contrast(color, 0.25))
        pen.ellipse(0.5, 0.78, 0.48, 0.09, color)
        crown = ((0.5 - half - flare, top), (0.5 + half + flare, top), (0.5 + half, 0.78))
        pen.polygon((*crown, *around(0.5, 0.78, half, 0.05, 0, 180)), color)
        band = ((0.5 - half, 0.66), (0.5 + half, 0.66), (0.5 + half, 0.78))
        pen.polygon((*band, *around(0.5, 0.78, half, 0.05, 0, 180)), ink)
        pen.ellipse(0.5, top, half + flare, 0.055, mix_colors(color, _WHITE, 0.15))
    elif kind == 1:
        high = rng.uniform(0.32, 0.42)
        pen.ellipse(0.5, 0.72, 0.49, 0.14, color)
        pen.ellipse(0.5, 0.7, 0.36, 0.075, contrast(color, 0.2))
        pen.polygon(around(0.5, 0.69, 0.28, high, 180, 360), color)
        pen.polygon(((0.22, 0.6), (0.78, 0.6), *around(0.5, 0.68, 0.28, 0.06, 0, 180)), ink)
        pen.ellipse(0.42, 0.66 - high * 0.72, 0.08, 0.04, mix_colors(color, _WHITE, 0.35), -20)
    else:
        _woolly_hat(pen, color, ink, rng)


def _woolly_hat(pen: Pen, color: RGB, ink: RGB, rng: np.random.Generator) -> None:
    high = rng.uniform(0.46, 0.54)
    pen.polygon(around(0.5, 0.72, 0.36, high, 180, 360), color)
    with pen.inside():
        for x in (-0.8, -0.4, 0.0, 0.4, 0.8):
            pen.line(((0.5, 0.72 - high), (0.5 + 0.36 * x, 0.72)), contrast(color, 0.2), 0.02)
        if rng.random() < 0.5:
            pen.line(((0.1, 0.52), (0.9, 0.52)), ink, 0.07)
    fold = mix_colors(color, _WHITE, 0.25) if rng.random() < 0.5 else contrast(color, 0.18)
    pen.rectangle(0.1, 0.68, 0.9, 0.88, fold, corner=0.06)
    for x in np.arange(0.2, 0.86, 0.1):
        pen.line(((x, 0.71), (x, 0.85)), contrast(fold, 0.15), 0.02)
    pen.disc(0.5, 0.7 - high, 0.1, ink)
