"""Things of the sky, as drawing functions."""

from __future__ import annotations

import numpy as np

from ovseg.scenes.colours import RGB, contrast
from ovseg.scenes.pen import Pen


def sun(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a sun."""
    pen.ellipse(0.5, 0.5, 0.20, 0.45, colour)
    pen.rectangle(0.4, 0.20, 0.6, 0.30, contrast(colour, 0.3 + 0.2 * rng.random()))


def moon(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a moon."""
    pen.ellipse(0.5, 0.5, 0.24, 0.42, colour)
    pen.rectangle(0.4, 0.27, 0.6, 0.37, contrast(colour, 0.3 + 0.2 * rng.random()))


def star(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a star."""
    pen.ellipse(0.5, 0.5, 0.28, 0.39, colour)
    pen.rectangle(0.4, 0.34, 0.6, 0.44, contrast(colour, 0.3 + 0.2 * rng.random()))


def cloud(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a cloud."""
    pen.ellipse(0.5, 0.5, 0.32, 0.36, colour)
    pen.rectangle(0.4, 0.41, 0.6, 0.51, contrast(colour, 0.3 + 0.2 * rng.random()))


def balloon(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a balloon."""
    pen.ellipse(0.5, 0.5, 0.36, 0.33, colour)
    pen.rectangle(0.4, 0.48, 0.6, 0.58, contrast(colour, 0.3 + 0.2 * rng.random()))


def kite(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a kite."""
    pen.ellipse(0.5, 0.5, 0.40, 0.30, colour)
    pen.rectangle(0.4, 0.55, 0.6, 0.65, contrast(colour, 0.3 + 0.2 * rng.random()))


def rocket(pen: Pen, colour: RGB, rng: np.random.Generator) -> None:
    """Draws a rocket."""
    pen.ellipse(0.5, 0.5, 0.44, 0.27, colour)
    pen.rectangle(0.4, 0.62, 0.6, 0.72, contrast(colour, 0.3 + 0.2 * rng.random()))
