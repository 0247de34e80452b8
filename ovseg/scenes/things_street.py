"""Things of streets and shores, as drawing functions."""

from __future__ import annotations

import numpy as np

from ovseg.scenes.colours import RGB, contrast
from ovseg.scenes.pen import Pen


def house(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a house."""
    pen.ellipse(0.5, 0.5, 0.20, 0.45, colour)
    pen.rectangle(0.4, 0.20, 0.6, 0.30, contrast(colour, 0.3 + 0.2 * rng.random()))


def car(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a car."""
    pen.ellipse(0.5, 0.5, 0.24, 0.42, colour)
    pen.rectangle(0.4, 0.27, 0.6, 0.37, contrast(colour, 0.3 + 0.2 * rng.random()))


def bus(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a bus."""
    pen.ellipse(0.5, 0.5, 0.28, 0.39, colour)
    pen.rectangle(0.4, 0.34, 0.6, 0.44, contrast(colour, 0.3 + 0.2 * rng.random()))


def boat(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a boat."""
    pen.ellipse(0.5, 0.5, 0.32, 0.36, colour)
    pen.rectangle(0.4, 0.41, 0.6, 0.51, contrast(colour, 0.3 + 0.2 * rng.random()))


def snowman(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a snowman."""
    pen.ellipse(0.5, 0.5, 0.36, 0.33, colour)
    pen.rectangle(0.4, 0.48, 0.6, 0.58, contrast(colour, 0.3 + 0.2 * rng.random()))
