"""Things of streets and shores, as drawing functions: each has variants and free proportions."""

from __future__ import annotations

import numpy as np

from ovseg.scenes.colors import RGB, contrast, mix_colors, sample_color
from ovseg.scenes.pen import Pen

_WHITE: RGB = (250, 250, 248)
_DARK: RGB = (40, 40, 46)
_GLASS: RGB = (170, 212, 236)
_WOOD: RGB = (122, 80, 46)


def house(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """Walls in the main color under a gabled, a hipped or a lean-to roof."""
    roofs = ((150, 62, 48), (88, 92, 104), (112, 74, 50), (64, 58, 70))
    roof = mix_colors(roofs[rng.integers(4)], _DARK, rng.uniform(0, 0.2))
    eaves, half = rng.uniform(0.38, 0.46), rng.uniform(0.36, 0.41)
    left, right = 0.5 - half, 0.5 + half
    if rng.random() < 0.6:
        x = rng.uniform(0.62, 0.72)
        pen.rectangle(x, 0.08, x + 0.1, eaves, mix_colors(roof, (140, 110, 100), 0.4))
        pen.rectangle(x - 0.015, 0.06, x + 0.115, 0.11, roof)
    pen.rectangle(left, eaves, right, 0.98, color)
    kind = rng.integers(3)
    if kind == 0:
        pen.polygon(((left, eaves + 0.02), (0.5, 0.06), (right, eaves + 0.02)), color)
        pen.line(
            ((left - 0.05, eaves + 0.05), (0.5, 0.06), (right + 0.05, eaves + 0.05)), roof, 0.085
        )
        pen.disc(0.5, eaves - 0.09, 0.05, mix_colors(_GLASS, _DARK, 0.25))
    elif kind == 1:
        top = rng.uniform(0.14, 0.2)
        pen.polygon(
            ((left - 0.06, eaves), (left + 0.16, top), (right - 0.16, top), (right + 0.06, eaves)),
            roof,
        )
        pen.line(((left, eaves + 0.02), (right, eaves + 0.02)), contrast(color, 0.25), 0.03)
    else:
        pen.polygon(((left - 0.05, eaves), (0.5, 0.07), (right + 0.05, eaves)), roof)
        pen.line(((left, eaves + 0.02), (right, eaves + 0.02)), contrast(color, 0.25), 0.03)
    _house_front(pen, color, eaves, half, rng)


def _house_front(pen: Pen, color: RGB, eaves: float, half: float, rng: np.random.Generator) -> None:
    lit = (252, 224, 130) if rng.random() < 0.25 else _GLASS
    frame = contrast(color, 0.6) if min(color) > 200 else _WHITE
    storeys = (0.2, 0.66) if rng.random() < 0.3 else (0.34,)
    door = 0.5 if rng.random() < 0.5 else 0.5 + half * 0.5
    columns = (-0.58, 0.58) if door == 0.5 else (-0.55, 0.0)
    deep = 0.98 - eaves
    size = 0.075 if len(storeys) == 1 else 0.055
    for share in storeys:
        for column in columns:
            x, y = 0.5 + half * column, eaves + deep * share + 0.02
            pen.rectangle(x - size, y - size, x + size, y + size, frame)
            pen.rectangle(
                x - size + 0.018, y - size + 0.018, x + size - 0.018, y + size - 0.018, lit
            )
            pen.line(((x, y - size), (x, y + size)), frame, 0.016)
            pen.line(((x - size, y), (x + size, y)), frame, 0.016)
    wood = sample_color(("brown", "red", "blue", "white")[rng.integers(4)], rng)
    pen.rectangle(door - 0.085, 0.66, door + 0.085, 0.98, frame)
    pen.rectangle(door - 0.065, 0.68, door + 0.065, 0.98, wood)
    pen.disc(door + 0.035, 0.84, 0.015, (236, 200, 90))


def _wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.disc(x, y, radius, _DARK)
    pen.disc(x, y, radius * 0.55, (196, 198, 204))
    pen.disc(x, y, radius * 0.2, _DARK)


def car(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """Seen from the side: a saloon, a hatchback or an estate."""
    roof, belt, foot = rng.uniform(0.22, 0.28), 0.48, 0.74
    front = rng.uniform(0.6, 0.66)
    back = (0.3, 0.22, 0.1)[rng.integers(3)]
    lean = rng.uniform(0.1, 0.15)
    cabin = ((back - 0.1, belt + 0.02), (back + 0.04, roof + 0.03), (back + 0.12, roof))
    pen.polygon(
        (*cabin, (front - 0.05, roof), (front, roof + 0.03), (front + lean, belt + 0.02)), color
    )
    nose = rng.uniform(0.5, 0.54)
    body = (
        (0.02, belt + 0.05),
        (0.06, belt),
        (front + lean, belt),
        (0.93, nose),
        (0.98, nose + 0.08),
    )
    pen.polygon(
        (*body, (0.98, foot - 0.03), (0.95, foot), (0.05, foot), (0.02, foot - 0.03)), color
    )
    middle = 0.5 * (back + front) + 0.02
    glass = mix_colors(_GLASS, _DARK, rng.uniform(0, 0.3))
    low, high = belt - 0.01, roof + 0.055
    pen.polygon(
        ((back - 0.02, low), (back + 0.08, high), (middle - 0.02, high), (middle - 0.02, low)),
        glass,
    )
    pen.polygon(
        (
            (middle + 0.02, low),
            (middle + 0.02, high),
            (front - 0.02, high),
            (front + lean - 0.05, low),
        ),
        glass,
    )
    trim = contrast(color, 0.35)
    pen.line(((middle, belt + 0.02), (middle, foot - 0.04)), trim, 0.014)
    pen.line(((middle + 0.05, belt + 0.07), (middle + 0.11, belt + 0.07)), trim, 0.02)
    pen.rectangle(0.02, foot - 0.045, 0.98, foot, trim, corner=0.02)
    pen.ellipse(0.945, nose + 0.06, 0.035, 0.03, (255, 240, 170))
    pen.rectangle(0.02, belt + 0.06, 0.055, belt + 0.13, (206, 40, 40))
    radius = rng.uniform(0.1, 0.115)
    for x in (0.24, 0.77):
        pen.disc(x, foot, radius + 0.025, trim)
        _wheel(pen, x, foot + 0.01, radius)


def bus(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A long box with a row of windows, at times with two decks."""
    decks = 2 if rng.random() < 0.3 else 1
    top, foot = (0.1, 0.86) if decks == 2 else (rng.uniform(0.2, 0.26), 0.8)
    pen.rectangle(0.02, top, 0.98, foot, color, corner=0.06)
    glass = mix_colors(_GLASS, _DARK, rng.uniform(0, 0.25))
    stripe = _WHITE if rng.random() < 0.5 and min(color) < 200 else contrast(color, 0.3)
    count = int(rng.integers(4, 6))
    high = 0.16 if decks == 1 else 0.14
    first = top + 0.09
    for deck in range(decks):
        y = first + deck * 0.29
        edges = np.linspace(0.07, 0.79, count + 1)
        for x0, x1 in zip(edges[:-1], edges[1:], strict=True):
            pen.rectangle(x0, y, x1 - 0.04, y + high, glass)
        pen.polygon(((0.83, y), (0.98, y), (0.98, y + high + 0.03), (0.83, y + high + 0.03)), glass)
    belt = first + (decks - 1) * 0.29 + high + 0.09
    pen.rectangle(0.02, belt, 0.98, belt + 0.04, stripe)
    door = first + (decks - 1) * 0.29
    pen.rectangle(0.62, door - 0.02, 0.78, foot, contrast(color, 0.15))
    for x in (0.64, 0.71):
        pen.rectangle(x, door, x + 0.05, foot - 0.08, mix_colors(glass, _DARK, 0.25))
    pen.rectangle(0.02, foot - 0.035, 0.98, foot, contrast(color, 0.4), corner=0.015)
    pen.ellipse(0.955, foot - 0.1, 0.025, 0.035, (255, 240, 170))
    for x in (0.22, 0.84):
        _wheel(pen, x, foot, 0.095)


def boat(pen: Pen, color: RGB, rng: np.random.Generator) -> None:
    """A hull in the main color with a mast, one or two sails and a pennant."""
    deck, keel = rng.uniform(0.6, 0.66), 0.96
    mast = rng.uniform(0.42, 0.5)
    cloth = mix_colors(color, _WHITE, 0.55) if rng.random() < 0.5 else (246, 240, 226)
    pen.line(((mast, 0.04), (mast, deck + 0.05)), _WOOD, 0.03)
    flag = sample_color(("red", "yellow", "blue")[rng.integers(3)], rng)
    pen.polygon(((mast, 0.03), (mast - 0.14, 0.075), (mast, 0.12)), flag)
    top, clew = rng.uniform(0.1, 0.16), rng.uniform(0.24, 0.32)
    pen.polygon(
        ((mast + 0.03, top), (mast + 0.03, deck - 0.06), (mast + clew + 0.08, deck - 0.06)), cloth
    )
    if rng.random() < 0.7:
        jib = ((mast - 0.03, top + 0.08), (mast - 0.03, deck - 0.06), (mast - clew, deck - 0.06))
        pen.polygon(jib, mix_colors(cloth, color, 0.5))
    else:
        high = 0.5 * (top + deck)
        pen.line(((mast + 0.03, high), (mast + 0.5 * clew, high)), color, 0.05)
    hull = ((0.02, deck), (0.98, deck - 0.03), (0.86, keel - 0.06), (0.78, keel))
    pen.polygon((*hull, (0.24, keel), (0.14, keel - 0.06)), color)
    with pen.inside():
        pen.line(((0.0, deck + 0.02), (1.0, deck - 0.01)), contrast(color, 0.35), 0.035)
        if rng.random() < 0.5:
            pen.line(((0.0, keel - 0.03), (1.0, keel - 0.03)), contrast(color, 0.4), 0.08)
    if rng.random() < 0.5:
        for x in (0.36, 0.52, 0.68):
            pen.disc(x, deck + 0.14, 0.035, _WHITE)
            pen.disc(x, deck + 0.14, 0.022, (70, 110, 150))


def snowman(pen: Pen, _color: RGB, rng: np.random.Generator) -> None:
    """Two or three balls of snow with a face, at times with a hat, a scarf and stick arms."""
    snow, shade = (246, 248, 252), (208, 218, 232)
    words = ("red", "blue", "green", "purple", "orange")
    scarf = sample_color(words[rng.integers(len(words))], rng)
    three = rng.random() < 0.6
    balls = ((0.8, 0.19), (0.53, 0.155), (0.3, 0.12)) if three else ((0.74, 0.245), (0.35, 0.17))
    body_y, body = balls[1] if three else (0.62, 0.24)
    if rng.random() < 0.7:
        for arm in (-1, 1):
            hand = (0.5 + arm * 0.42, body_y - 0.14)
            pen.line(((0.5 + arm * body * 0.7, body_y), hand), _WOOD, 0.026)
            pen.line((hand, (hand[0] + arm * 0.05, hand[1] - 0.01)), _WOOD, 0.02)
            pen.line((hand, (hand[0] + arm * 0.01, hand[1] - 0.06)), _WOOD, 0.02)
    for y, radius in balls:
        pen.disc(0.5, y, radius, shade)
        pen.ellipse(0.49, y - 0.015, radius * 0.93, radius * 0.9, snow)
    face_y, face = balls[-1]
    for side in (-0.38, 0.38):
        pen.disc(0.5 + side * face, face_y - 0.2 * face, 0.022, _DARK)
    pen.polygon(
        ((0.5, face_y - 0.02), (0.5, face_y + 0.03), (0.5 + 1.3 * face, face_y + 0.03)),
        (240, 130, 40),
    )
    for step in range(2 + three):
        pen.disc(0.5, body_y - 0.07 + 0.085 * step, 0.02, _DARK)
    if rng.random() < 0.75:
        neck = face_y + face * 0.85
        pen.line(((0.5 - 0.85 * face, neck), (0.5 + 0.85 * face, neck)), scarf, 0.065)
        pen.line(((0.5 - 0.5 * face, neck), (0.5 - 0.6 * face, neck + 0.15)), scarf, 0.06)
    if rng.random() < 0.75:
        brim = face_y - 0.72 * face
        pen.rectangle(0.5 - face * 0.72, brim - 0.15, 0.5 + face * 0.72, brim, _DARK)
        pen.rectangle(0.5 - face * 0.72, brim - 0.05, 0.5 + face * 0.72, brim, scarf)
        pen.rectangle(0.5 - face * 1.15, brim - 0.01, 0.5 + face * 1.15, brim + 0.025, _DARK)
