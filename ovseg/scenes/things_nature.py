"""Plants and animals, as drawing functions."""

from __future__ import annotations

import numpy as np

from ovseg.scenes.colours import RGB, contrast
from ovseg.scenes.pen import Pen


def tree(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a tree."""
    pen.ellipse(0.5, 0.5, 0.20, 0.45, colour)
    pen.rectangle(0.4, 0.20, 0.6, 0.30, contrast(colour, 0.3 + 0.2 * rng.random()))


def bird(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a bird."""
    pen.ellipse(0.5, 0.5, 0.24, 0.42, colour)
    pen.rectangle(0.4, 0.27, 0.6, 0.37, contrast(colour, 0.3 + 0.2 * rng.random()))


def butterfly(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a butterfly."""
    pen.ellipse(0.5, 0.5, 0.28, 0.39, colour)
    pen.rectangle(0.4, 0.34, 0.6, 0.44, contrast(colour, 0.3 + 0.2 * rng.random()))


def fish(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a fish."""
    pen.ellipse(0.5, 0.5, 0.32, 0.36, colour)
    pen.rectangle(0.4, 0.41, 0.6, 0.51, contrast(colour, 0.3 + 0.2 * rng.random()))


def flower(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a flower."""
    pen.ellipse(0.5, 0.5, 0.36, 0.33, colour)
    pen.rectangle(0.4, 0.48, 0.6, 0.58, contrast(colour, 0.3 + 0.2 * rng.random()))


def mushroom(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a mushroom."""
    pen.ellipse(0.5, 0.5, 0.40, 0.30, colour)
    pen.rectangle(0.4, 0.55, 0.6, 0.65, contrast(colour, 0.3 + 0.2 * rng.random()))


def cactus(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a cactus."""
    pen.ellipse(0.5, 0.5, 0.44, 0.27, colour)
    pen.rectangle(0.4, 0.62, 0.6, 0.72, contrast(colour, 0.3 + 0.2 * rng.random()))


def apple(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws an apple."""
    pen.ellipse(0.5, 0.5, 0.48, 0.24, colour)
    pen.rectangle(0.4, 0.69, 0.6, 0.79, contrast(colour, 0.3 + 0.2 * rng.random()))
