"""A small drawing canvas: shapes in unit coordinates, rotated as geometry, filled by OpenCV.

Nothing is antialiased while drawing: a pixel is painted (alpha 255) or not (alpha 0). Smooth edges
come from `Pen.shrink`, an exact integer mean, so the same calls give the same bytes everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from ovseg.scenes.colors import RGB

__all__ = ["Pen", "around"]

Points = Sequence[tuple[float, float]]

_SHIFT = 4
_STEPS = 6
# Rounding the table and the rotation keeps the last bit of libm out of the images.
_DIGITS = 9


def _catmull_rom() -> np.ndarray:
    t = np.arange(_STEPS)[:, None] / _STEPS
    before = -0.5 * t + t**2 - 0.5 * t**3
    here = 1 - 2.5 * t**2 + 1.5 * t**3
    after = 0.5 * t + 2 * t**2 - 1.5 * t**3
    beyond = -0.5 * t**2 + 0.5 * t**3
    return np.stack([before, here, after, beyond])[:, None, :, :]


_SPLINE = _catmull_rom()


def around(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 360.0
) -> np.ndarray:
    """Points along an elliptic arc.

    Args:
        x: center, 0..1 from the left.
        y: center, 0..1 from the top.
        rx: horizontal radius.
        ry: vertical radius.
        start: first angle in degrees, clockwise from the right.
        stop: last angle in degrees.

    Returns:
        (n, 2) points; a whole turn repeats no point.
    """
    turn = stop - start
    count = max(4, round(abs(turn) / 10))
    angles = np.radians(start + np.arange(count + (abs(turn) < 360)) * (turn / count))
    cosines, sines = np.round(np.cos(angles), _DIGITS), np.round(np.sin(angles), _DIGITS)
    return np.stack([x + rx * cosines, y + ry * sines], axis=1)


class Pen:
    """Draws filled shapes on a transparent square.

    Args:
        size: side of the canvas in pixels.
        tilt: rotation about the center in degrees, clockwise. The unit square is scaled down so
            that its corners stay on the canvas.
        mirror: draw left and right swapped.

    Attributes:
        canvas: (size, size, 4) uint8, RGB and alpha; unpainted pixels are all zero.
    """

    def __init__(self, size: int, tilt: float = 0.0, *, mirror: bool = False) -> None:
        self.canvas = np.zeros((size, size, 4), np.uint8)
        cosine = round(math.cos(math.radians(tilt)), _DIGITS)
        sine = round(math.sin(math.radians(tilt)), _DIGITS)
        self._unit = size / (abs(cosine) + abs(sine))
        unit = self._unit * 2**_SHIFT
        across = -unit if mirror else unit
        self._x = (across * cosine, -unit * sine)
        self._y = (across * sine, unit * cosine)
        # Pixel centers lie on whole coordinates, hence the half.
        self._middle = (size - 1) * 2**_SHIFT / 2

    def polygon(self, points: Points | np.ndarray, color: RGB) -> None:
        """Fills a polygon through (n, 2) points in 0..1."""
        cv2.fillPoly(self.canvas, [self._place(points)], (*color, 255), cv2.LINE_8, _SHIFT)

    def smooth(self, points: Points | np.ndarray, color: RGB) -> None:
        """Fills the closed smooth curve (Catmull-Rom spline) through the points."""
        self.polygon(_spline(np.asarray(points, np.float64)), color)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, color: RGB, turn: float = 0.0
    ) -> None:
        """Fills an ellipse about (x, y), itself turned clockwise by `turn` degrees."""
        points = around(x, y, rx, ry)
        if turn:
            cosine = round(math.cos(math.radians(turn)), _DIGITS)
            sine = round(math.sin(math.radians(turn)), _DIGITS)
            dx, dy = points[:, 0] - x, points[:, 1] - y
            points = np.stack([x + dx * cosine - dy * sine, y + dx * sine + dy * cosine], axis=1)
        self.polygon(points, color)

    def disc(self, x: float, y: float, radius: float, color: RGB) -> None:
        """Fills a circle."""
        self.polygon(around(x, y, radius, radius), color)

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, color: RGB, *, corner: float = 0.0
    ) -> None:
        """Fills an upright rectangle; `corner` is the radius of its rounded corners."""
        if not corner:
            self.polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), color)
            return
        left, right, top, bottom = x0 + corner, x1 - corner, y0 + corner, y1 - corner
        arcs = (
            around(right, bottom, corner, corner, 0, 90),
            around(left, bottom, corner, corner, 90, 180),
            around(left, top, corner, corner, 180, 270),
            around(right, top, corner, corner, 270, 359.9),
        )
        self.polygon(np.concatenate(arcs), color)

    def line(self, points: Points | np.ndarray, color: RGB, width: float) -> None:
        """Strokes an open line of the given width (a share of the unit square)."""
        thickness = max(1, round(width * self._unit))
        placed = [self._place(points)]
        cv2.polylines(self.canvas, placed, False, (*color, 255), thickness, cv2.LINE_8, _SHIFT)

    def curve(self, points: Points | np.ndarray, color: RGB, width: float) -> None:
        """Strokes the open smooth curve through the points."""
        self.line(_spline(np.asarray(points, np.float64), closed=False), color, width)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While active, shapes show only where something had been painted before."""
        painted = self.canvas[:, :, 3].copy()
        yield
        kept = np.zeros_like(self.canvas)
        cv2.copyTo(self.canvas, painted, kept)
        self.canvas = kept

    def outline(self, strength: float) -> None:
        """Darkens the rim of everything painted so far by `strength` (0..1)."""
        alpha = np.ascontiguousarray(self.canvas[:, :, 3])
        rim = cv2.subtract(alpha, cv2.erode(alpha, np.ones((3, 3), np.uint8)))
        keep = 256 - round(strength * 256)
        table = np.full((1, 256, 4), 255, np.uint8)
        table[0, :, :3] = (np.arange(256) * keep // 256)[:, None]
        cv2.copyTo(cv2.LUT(self.canvas, table), rim, self.canvas)

    def shrink(self, factor: int) -> tuple[np.ndarray, np.ndarray]:
        """Reduces the canvas by the mean of blocks of factor x factor pixels.

        The color of a pixel is the mean over the painted part of its block alone, so an edge
        carries no trace of the transparent black behind it.

        Args:
            factor: a divisor of the canvas size, 1..15.

        Returns:
            Color (s, s, 3) uint8 and alpha (s, s) uint8, where s = size / factor.
        """
        rows: Any = sum(self.canvas[start::factor].astype(np.uint16) for start in range(factor))
        blocks: Any = sum(rows[:, start::factor] for start in range(factor))
        painted = blocks[:, :, 3:] // 255
        rgb = (blocks[:, :, :3] + painted // 2) // np.maximum(painted, 1)
        alpha = painted[:, :, 0] * 255 // factor**2
        return rgb.astype(np.uint8), alpha.astype(np.uint8)

    def _place(self, points: Points | np.ndarray) -> np.ndarray:
        points = np.asarray(points, np.float64)
        x, y = points[:, 0] - 0.5, points[:, 1] - 0.5
        placed = np.empty((len(points), 2), np.int32)
        placed[:, 0] = np.rint(x * self._x[0] + y * self._x[1] + self._middle)
        placed[:, 1] = np.rint(x * self._y[0] + y * self._y[1] + self._middle)
        return placed


def _spline(points: np.ndarray, *, closed: bool = True) -> np.ndarray:
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([points[:1], points, points[-1:]])
    count = len(padded) - 3
    corners = np.stack([padded[start : start + count] for start in range(4)])[:, :, None, :]
    curve = (corners * _SPLINE).sum(axis=0).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])
