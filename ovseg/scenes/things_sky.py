"""Things of the sky, as drawing functions: each has a few variants and free proportions."""

from __future__ import annotations

import math

import numpy as np

from ovseg.scenes.colors import RGB, contrast, mix_colors, sample_color
from ovseg.scenes.pen import Pen, around

_WHITE: RGB = (250, 250, 248)
_DARK: RGB = (46, 42, 48)
_WOOD: RGB = (142, 96, 56)


def sun(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A disc with rays: spikes, alternately long and short ones, or separate bars."""
    rays = int(rng.integers(8, 15))
    radius = rng.uniform(0.24, 0.3)
    if rng.random() < 0.3:
        for angle in np.arange(rays) * (2 * math.pi / rays):
            dx, dy = math.cos(angle), math.sin(angle)
            near, far = radius + 0.06, 0.46
            bar = ((0.5 + near * dx, 0.5 + near * dy), (0.5 + far * dx, 0.5 + far * dy))
            pen.line(bar, color, 0.045)
    else:
        spikes = np.full(2 * rays, radius + 0.03)
        spikes[::2] = 0.49 if rng.random() < 0.5 else np.tile((0.49, 0.42), rays)[:rays]
        pen.polygon(_rosette(spikes), contrast(color, 0.12))
    pen.disc(0.5, 0.5, radius, color)
    if rng.random() < 0.45:
        _face(pen, radius, contrast(color, 0.7))
    else:
        pen.disc(0.48, 0.47, radius * 0.74, mix_colors(color, _WHITE, 0.2))


def _face(pen: Pen, radius: float, ink: RGB) -> None:
    for side in (-0.4, 0.4):
        pen.ellipse(0.5 + side * radius, 0.5 - 0.18 * radius, 0.025, 0.035, ink)
    pen.line(around(0.5, 0.5, 0.55 * radius, 0.5 * radius, 30, 150), ink, 0.025)


def _rosette(radii: np.ndarray, turn: float = -90.0) -> np.ndarray:
    """Points about the middle at equal angles and the given distances."""
    angles = np.radians(turn + np.arange(len(radii)) * (360 / len(radii)))
    cosines, sines = np.round(np.cos(angles), 9), np.round(np.sin(angles), 9)
    return np.stack([0.5 + radii * cosines, 0.5 + radii * sines], axis=1)


def moon(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A crescent, thin to nearly half, with craters."""
    bite, away = rng.uniform(0.34, 0.42), rng.uniform(0.2, 0.32)
    radius, left = 0.46, 0.53
    tip = (away**2 + radius**2 - bite**2) / (2 * away)
    outer = math.degrees(math.acos(tip / radius))
    inner = math.degrees(math.atan2(math.sqrt(radius**2 - tip**2), tip - away))
    edge = around(left, 0.5, radius, radius, outer, 360 - outer)
    hollow = around(left + away, 0.5, bite, bite, 360 - inner, inner)
    pen.polygon(np.concatenate([edge, hollow]), color)
    with pen.inside():
        pen.polygon(
            np.concatenate([edge, around(left + 0.06, 0.5, radius, radius, 360 - outer, outer)]),
            mix_colors(color, _WHITE, 0.25),
        )
        for angle in (105, 150, 185, 225)[: int(rng.integers(2, 5))]:
            turn = math.radians(angle + rng.uniform(-12, 12))
            far = radius - rng.uniform(0.06, 0.16)
            x, y = left + far * math.cos(turn), 0.5 + far * math.sin(turn)
            pen.disc(x, y, rng.uniform(0.02, 0.05), contrast(color, 0.16))


def star(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """Five points: plain, with an inner star, folded into facets, or plump with round tips."""
    ratio = rng.uniform(0.4, 0.52)
    radii = np.tile((0.48, 0.48 * ratio), 5)
    kind = rng.integers(4)
    if kind == 3:
        plump = _rosette(radii * 0.86)
        pen.polygon(plump, color)
        pen.line(np.concatenate([plump, plump[:1]]), color, 0.11)
        _face(pen, 0.2, contrast(color, 0.7))
        return
    points = _rosette(radii)
    pen.polygon(points, color)
    if kind == 1:
        pen.polygon(_rosette(radii * 0.62), mix_colors(color, _WHITE, 0.45))
    elif kind == 2:
        for first in range(0, 10, 2):
            facet = (points[first], points[(first + 1) % 10], (0.5, 0.5))
            pen.polygon(facet, contrast(color, 0.22))


def cloud(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """Puffs on a flat base, lighter above than below."""
    count = int(rng.integers(3, 6))
    shade = contrast(color, 0.16)
    base = rng.uniform(0.76, 0.82)
    places = np.linspace(0.2, 0.8, count) + rng.uniform(-0.03, 0.03, count)
    hump = 1 - np.abs(places - rng.uniform(0.35, 0.65)) / 0.6
    radii = (0.1 + 0.13 * hump) * (1.25 - 0.07 * count) + rng.uniform(0, 0.03, count)
    puffs = list(zip(places, base - 0.04 - radii - 0.16 * hump, radii, strict=True))
    pen.rectangle(0.03, base - 0.22, 0.97, base, shade, corner=0.11)
    pen.polygon([(x, y) for x, y, _ in puffs] + [(0.8, base), (0.2, base)], shade)
    for x, y, radius in puffs:
        pen.disc(x, y, radius, shade)
    with pen.inside():
        pen.rectangle(0.02, base - 0.3, 0.95, base - 0.06, color, corner=0.11)
        pen.polygon([(x, y) for x, y, _ in puffs] + [(0.8, base - 0.1), (0.2, base - 0.1)], color)
        for x, y, radius in puffs:
            pen.disc(x, y, radius, contrast(color, 0.06))
            pen.disc(x - 0.02, y - 0.03, radius * 0.92, color)


def balloon(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A hot-air balloon with gores or a band and a basket, or a toy balloon on a string."""
    if rng.random() < 0.35:
        _toy_balloon(pen, color, rng)
        return
    wide = rng.uniform(0.33, 0.4)
    outline = [(0.5, 0.02), (0.5 + wide * 0.75, 0.1), (0.5 + wide, 0.33), (0.5 + wide * 0.7, 0.55)]
    outline += [(0.58, 0.72), (0.5, 0.725), (0.42, 0.72)]
    outline += [(1 - x, y) for x, y in reversed(outline[1:4])]
    pen.line(((0.42, 0.72), (0.45, 0.88)), _DARK, 0.012)
    pen.line(((0.58, 0.72), (0.55, 0.88)), _DARK, 0.012)
    pen.smooth(outline, color)
    second = _WHITE if rng.random() < 0.4 else contrast(color, 0.25)
    with pen.inside():
        if rng.random() < 0.6:
            for share, paint in ((0.72, second), (0.42, color), (0.14, second)):
                pen.ellipse(0.5, 0.34, wide * share, 0.42, paint)
        else:
            middle = rng.uniform(0.26, 0.36)
            teeth = [(0.05 + 0.09 * i, middle + (0.07 if i % 2 else -0.02)) for i in range(11)]
            pen.line(teeth, second, 0.07)
        pen.ellipse(0.5 - wide * 0.6, 0.2, 0.035, 0.09, mix_colors(color, _WHITE, 0.5), 30)
    pen.rectangle(0.425, 0.86, 0.575, 0.985, _WOOD, corner=0.02)
    pen.rectangle(0.415, 0.85, 0.585, 0.885, mix_colors(_WOOD, _DARK, 0.4))


def _toy_balloon(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    wide = rng.uniform(0.28, 0.34)
    sway = rng.uniform(0.03, 0.07)
    pen.curve(((0.5, 0.7), (0.5 + sway, 0.8), (0.5 - sway, 0.9), (0.5, 0.99)), _DARK, 0.018)
    pen.polygon(((0.5, 0.66), (0.56, 0.75), (0.44, 0.75)), contrast(color, 0.25))
    shape = [(0.5, 0.02), (0.5 + wide * 0.8, 0.14), (0.5 + wide, 0.34), (0.5 + wide * 0.6, 0.58)]
    shape += [(0.5, 0.7)] + [(1 - x, y) for x, y in reversed(shape[1:])]
    pen.smooth(shape, color)
    pen.ellipse(0.5 - wide * 0.5, 0.2, 0.045, 0.1, mix_colors(color, _WHITE, 0.6), 25)


def kite(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A diamond of two shades with spars and a tail with bows."""
    wide, cross, low = rng.uniform(0.26, 0.36), rng.uniform(0.22, 0.3), rng.uniform(0.62, 0.7)
    top, left, right, bottom = (0.5, 0.02), (0.5 - wide, cross), (0.5 + wide, cross), (0.5, low)
    sway = rng.uniform(0.05, 0.1)
    tail = [(0.5, low), (0.5 + sway, low + 0.1), (0.5 - sway, low + 0.19), (0.52, 0.98)]
    pen.curve(tail, _DARK, 0.016)
    bow = sample_color(("red", "yellow", "blue", "white")[rng.integers(4)], rng)
    for x, y in tail[1:]:
        for side in (-0.06, 0.06):
            pen.polygon(((x, y), (x + side, y - 0.035), (x + side, y + 0.035)), bow)
    pen.polygon((top, right, bottom, left), color)
    second = contrast(color, 0.16)
    if rng.random() < 0.6:
        pen.polygon((top, right, (0.5, cross)), second)
        pen.polygon((bottom, left, (0.5, cross)), second)
    else:
        pen.polygon((bottom, (0.5 + wide * 0.5, 0.5 * (low + cross)), (0.5, cross)), second)
        pen.polygon((bottom, (0.5 - wide * 0.5, 0.5 * (low + cross)), (0.5, cross)), second)
        pen.polygon(((0.5, 0.02), (0.5 + wide * 0.4, 0.12), (0.5 - wide * 0.4, 0.12)), second)
    spar = contrast(color, 0.6)
    pen.line((top, bottom), spar, 0.014)
    pen.line((left, right), spar, 0.014)


def rocket(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A pointed hull with fins, portholes and, mostly, a flame."""
    wide, foot = rng.uniform(0.15, 0.2), 0.8
    second = _WHITE if rng.random() < 0.3 else contrast(color, 0.28)
    if rng.random() < 0.75:
        for share, paint in ((1.0, (244, 120, 24)), (0.55, (255, 220, 90))):
            half = wide * 0.6 * share
            pen.polygon(((0.5 - half, foot), (0.5 + half, foot), (0.5, foot + 0.19 * share)), paint)
    reach = rng.uniform(0.26, 0.34)
    for side in (-1, 1):
        fin = ((0.5 + side * wide * 0.6, 0.52), (0.5 + side * reach, 0.7))
        pen.polygon((*fin, (0.5 + side * reach, 0.9), (0.5 + side * wide * 0.5, 0.79)), second)
    hull = [(0.5, 0.01), (0.5 + wide * 0.62, 0.17), (0.5 + wide, 0.42), (0.5 + wide * 0.75, 0.72)]
    hull += [(0.5 + wide * 0.55, foot)]
    hull += [(1 - x, y) for x, y in reversed(hull[1:])]
    pen.smooth(hull, color)
    pen.polygon(((0.5, 0), *hull[1:2], *hull[-1:]), second)
    pen.rectangle(0.5 - wide * 0.6, foot - 0.05, 0.5 + wide * 0.6, foot, second)
    for y in (0.34, 0.54)[: int(rng.integers(1, 3))]:
        pen.disc(0.5, y, wide * 0.5, _DARK)
        pen.disc(0.5, y, wide * 0.36, (150, 214, 240))
