"""Plants, as drawing functions: each has a few variants and free proportions."""

from __future__ import annotations

import math

import numpy as np

from ovseg.scenes.colors import RGB, contrast, mix_colors, sample_color
from ovseg.scenes.pen import Pen, around

_WHITE: RGB = (250, 250, 248)
_DARK: RGB = (36, 34, 38)
_TRUNK: RGB = (112, 72, 42)
_LEAF: RGB = (62, 142, 58)
_CREAM: RGB = (240, 226, 200)


def tree(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A leafy crown or a tiered conifer on a trunk."""
    trunk = mix_colors(_TRUNK, _DARK, rng.uniform(0, 0.35))
    half = rng.uniform(0.045, 0.07)
    pen.polygon(
        ((0.5 - half, 0.5), (0.5 + half, 0.5), (0.53 + half, 0.99), (0.47 - half, 0.99)), trunk
    )
    if rng.random() < 0.4:
        _conifer(pen, color, rng)
        return
    pen.line(((0.5, 0.74), (0.64, 0.6)), trunk, 0.04)
    wide, high = rng.uniform(0.32, 0.42), rng.uniform(0.28, 0.35)
    middle = 0.03 + high * 1.06
    bumps = int(rng.integers(8, 12))
    crown = around(0.5, middle, wide, high)[:: max(1, 36 // bumps)]
    for x, y in crown:
        pen.disc(0.5 + 0.78 * (x - 0.5), middle + 0.76 * (y - middle), 0.12, color)
    pen.ellipse(0.5, middle, wide * 0.85, high * 0.85, color)
    with pen.inside():
        for x, y in rng.uniform(-0.6, 0.3, (4, 2)):
            spot = (0.5 + wide * x, middle + high * y, 0.1, 0.07)
            pen.ellipse(*spot, mix_colors(color, _WHITE, 0.16))
        for x, y in rng.uniform(-0.2, 0.75, (4, 2)):
            pen.ellipse(0.5 + wide * x, middle + high * y, 0.07, 0.05, contrast(color, 0.16))
    if rng.random() < 0.25:
        fruit = sample_color(("red", "orange", "yellow")[rng.integers(3)], rng)
        for x, y in rng.uniform(-0.65, 0.65, (7, 2)):
            pen.disc(0.5 + wide * x, middle + high * y, 0.03, fruit)


def _conifer(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    tiers = int(rng.integers(3, 5))
    wide = rng.uniform(0.3, 0.4)
    for tier in range(tiers - 1, -1, -1):
        share = (tier + 1) / tiers
        top, foot = 0.02 + 0.5 * tier / tiers, 0.22 + 0.62 * share
        half = wide * (0.45 + 0.55 * share)
        shade = mix_colors(contrast(color, 0.2), color, 1 - 0.8 * tier / tiers)
        skirt = ((0.5 + half, foot - 0.02), (0.5, foot + 0.035), (0.5 - half, foot - 0.02))
        pen.polygon(((0.5, top), *skirt), shade)


def flower(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A wheel of petals or a tulip, on a stem with leaves."""
    stem = mix_colors(_LEAF, _DARK, rng.uniform(0, 0.3))
    sway = rng.uniform(-0.05, 0.05)
    pen.curve(((0.5, 0.36), (0.5 + sway, 0.7), (0.5, 0.98)), stem, 0.045)
    lift = rng.uniform(0.78, 0.86)
    for side in (-1, 1)[: int(rng.integers(1, 3))]:
        tip = 0.5 + side * 0.24
        leaf = ((0.5, lift + 0.09), (0.5 + side * 0.09, lift - 0.04), (tip, lift - 0.09))
        pen.smooth((*leaf, (0.5 + side * 0.16, lift + 0.06)), stem)
    if rng.random() < 0.25:
        _tulip(pen, color)
        return
    petals = int(rng.integers(5, 10))
    long, wide = rng.uniform(0.15, 0.17), min(0.12, 0.58 / petals)
    for turn in np.arange(petals) * (360 / petals) - 90:
        angle = math.radians(turn)
        x, y = 0.5 + 0.17 * math.cos(angle), 0.33 + 0.17 * math.sin(angle)
        pen.ellipse(x, y, long, wide, color, turn)
        vein = (
            (0.5 + 0.3 * (x - 0.5), 0.33 + 0.3 * (y - 0.33)),
            (2 * x - 0.5 - 0.3 * (x - 0.5), 2 * y - 0.33 - 0.3 * (y - 0.33)),
        )
        pen.line(vein, contrast(color, 0.2), 0.014)
    heart = (90, 56, 34) if rng.random() < 0.4 or color[2] < 90 < color[1] else (246, 204, 56)
    pen.disc(0.5, 0.33, rng.uniform(0.075, 0.105), heart)


def _tulip(pen: Pen, color: RGB) -> None:
    cup = ((0.22, 0.1), (0.36, 0.2), (0.5, 0.03), (0.64, 0.2), (0.78, 0.1))
    pen.polygon((*cup, *around(0.5, 0.28, 0.28, 0.26, 0, 180)), color)
    petal = ((0.5, 0.04), (0.64, 0.26), (0.5, 0.53), (0.36, 0.26))
    pen.smooth(petal, contrast(color, 0.16))


def mushroom(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A spotted or plain cap, flat to pointed, on a pale stem."""
    wide, high = rng.uniform(0.36, 0.47), rng.uniform(0.34, 0.5)
    foot, half = rng.uniform(0.12, 0.17), rng.uniform(0.08, 0.11)
    rim = 0.08 + high
    stem = ((0.5 - half, rim), (0.5 + half, rim), (0.5 + foot, 0.9), (0.5, 0.97), (0.5 - foot, 0.9))
    pen.smooth(stem, _CREAM)
    pen.ellipse(0.5, rim, wide * 0.94, 0.075, mix_colors(_CREAM, _TRUNK, 0.3))
    if rng.random() < 0.4:
        pen.ellipse(0.5, rim + 0.13, half + 0.06, 0.035, mix_colors(_CREAM, _TRUNK, 0.15))
    if rng.random() < 0.3:
        cap = ((0.5, 0.03), (0.62, 0.16), (0.5 + wide, rim), (0.5, rim + 0.05), (0.5 - wide, rim))
        pen.smooth((*cap, (0.38, 0.16)), color)
    else:
        dome = around(0.5, rim, wide, high, 180, 360)
        pen.polygon(np.concatenate([dome, around(0.5, rim, wide, 0.05, 0, 180)]), color)
    if rng.random() < 0.75:
        spot = (196, 120, 84) if min(color) > 200 else _WHITE
        with pen.inside():
            for x, y in (
                (-0.02, 0.7),
                (-0.5, 0.35),
                (0.5, 0.4),
                (0.05, 0.28),
                (-0.8, 0.1),
                (0.8, 0.08),
            ):
                size = rng.uniform(0.03, 0.055)
                x += rng.uniform(-0.08, 0.08)
                pen.ellipse(0.5 + wide * x, rim - high * y, size * 1.2, size, spot)


def cactus(pen: Pen, _color: RGB, rng: np.random.Generator) -> None:
    """A green column with arms, ribs and spines, at times with a bloom or in a pot."""
    green = mix_colors((46, 134, 70), (110, 160, 76), rng.random())
    thick = rng.uniform(0.18, 0.22)
    dark, spine = contrast(green, 0.3), (232, 236, 200)
    arms = (
        (-1, rng.uniform(0.5, 0.64), rng.uniform(0.22, 0.34)),
        (1, rng.uniform(0.44, 0.58), rng.uniform(0.14, 0.28)),
    )
    for side, joint, tip in arms[: 1 if rng.random() < 0.2 else 2]:
        x = 0.5 + side * 0.31
        bend = ((0.5, joint), (0.5 + side * 0.22, joint), (x, joint - 0.07), (x, tip))
        pen.curve(bend, green, thick * 0.62)
        pen.line(((x, joint - 0.1), (x, tip)), dark, 0.014)
    pen.rectangle(0.5 - thick / 2, 0.04, 0.5 + thick / 2, 0.97, green, corner=thick / 2.02)
    for x in (-0.25, 0.25):
        pen.line(((0.5 + thick * x, 0.12), (0.5 + thick * x, 0.95)), dark, 0.014)
    for y in np.arange(0.16, 0.9, 0.1):
        pen.line(((0.49, y), (0.51, y + 0.02)), spine, 0.012)
    if rng.random() < 0.35:
        pen.ellipse(0.5, 0.05, 0.07, 0.045, sample_color("pink", rng))
    if rng.random() < 0.35:
        pot = mix_colors((176, 92, 56), _TRUNK, rng.random() * 0.5)
        pen.polygon(((0.3, 0.76), (0.7, 0.76), (0.65, 0.99), (0.35, 0.99)), pot)
        pen.rectangle(0.27, 0.72, 0.73, 0.79, contrast(pot, 0.15))


def apple(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A round fruit with a dimple, a stalk, a leaf and a gleam."""
    wide, low = rng.uniform(0.39, 0.45), rng.uniform(0.94, 0.98)
    half = [(0.5 + 0.45 * wide, 0.2), (0.5 + wide, 0.36), (0.5 + 0.92 * wide, 0.66)]
    half += [(0.5 + 0.5 * wide, low), (0.5 + 0.15 * wide, low - 0.02)]
    mirrored = [(1 - x, y) for x, y in reversed(half)]
    pen.smooth([(0.5, 0.27), *half, (0.5, low - 0.035), *mirrored], color)
    with pen.inside():
        pen.smooth(
            [(0.86, 0.2), (1.05, 0.5), (0.8, 1.0), (0.5, 1.02), (0.8, 0.75)], contrast(color, 0.15)
        )
        pen.ellipse(0.5, 0.25, 0.1, 0.045, contrast(color, 0.3))
    pen.ellipse(0.29, 0.42, 0.045, 0.1, mix_colors(color, _WHITE, 0.6), 20)
    lean = rng.uniform(-0.06, 0.06)
    pen.line(((0.5, 0.28), (0.5 + lean, 0.06)), (88, 58, 36), 0.035)
    if rng.random() < 0.75:
        pen.smooth(((0.52, 0.18), (0.6, 0.06), (0.78, 0.04), (0.7, 0.17)), _LEAF)
