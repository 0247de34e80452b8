"""Backdrops: which stuff a scene shows and where its borders run."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ovseg.scenes.fields import curve
from ovseg.scenes.stuff import STUFF

__all__ = ["STUFF_IDS", "Backdrop", "draw_backdrop"]

STUFF_IDS: dict[str, int] = {name: index for index, name in enumerate(STUFF)}

_GROUNDS = ("grass", "sand", "snow")


class Backdrop:
    """An image and its label map while stuff is laid on it, back to front.

    Args:
        height: rows in pixels.
        width: columns in pixels.
        rng: source of randomness.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids.
        unit: pixels that one pixel of a 224-pixel image spans.
    """

    def __init__(self, height: int, width: int, rng: np.random.Generator) -> None:
        self.height, self.width, self.rng = height, width, rng
        self.unit = min(height, width) / 224.0
        self.image = np.zeros((height, width, 3), np.uint8)
        self.labels = np.zeros((height, width), np.uint8)

    def lay(self, name: str, mask: np.ndarray | None = None) -> None:
        """Paint a stuff class where the (H, W) uint8 mask is set, or everywhere."""
        if mask is None:
            left, top, width, height = 0, 0, self.width, self.height
            mask = np.full((height, width), 1, np.uint8)
        else:
            left, top, width, height = cv2.boundingRect(mask)
        if width == 0 or height == 0:
            return
        paint = STUFF[name].paint
        # Thin slices are painted with room to spare: a texture needs a few pixels to exist.
        tall, wide = max(height, 16), max(width, 16)
        texture = paint(tall, wide, self.rng, self.unit)[:height, :width]
        window = np.s_[top : top + height, left : left + width]
        cv2.copyTo(np.ascontiguousarray(texture), mask[window], self.image[window])
        self.labels[window][mask[window] != 0] = STUFF_IDS[name]

    def below(self, line: np.ndarray) -> np.ndarray:
        """Mask of the pixels on and below a line given as one row number a column."""
        return (np.arange(self.height)[:, None] >= line[None]).astype(np.uint8)

    def level(self, share: float, swing: float = 0.0, cell: float = 80.0) -> np.ndarray:
        """A line across the image at a share of its height, level or gently rolling."""
        return curve(
            self.rng, self.width, share * self.height, swing * self.height, cell * self.unit
        )

    def polygon(self, corners: list[tuple[float, float]]) -> np.ndarray:
        """Mask of a polygon whose corners are (x, y) shares of width and height."""
        points = [(round(x * self.width), round(y * self.height)) for x, y in corners]
        mask = np.zeros((self.height, self.width), np.uint8)
        return cv2.fillPoly(mask, [np.asarray(points, np.int32)], 1)

    def ellipse(self, x: float, y: float, wide: float, tall: float) -> np.ndarray:
        """Mask of an ellipse given by center and half axes as shares of width and height."""
        mask = np.zeros((self.height, self.width), np.uint8)
        center = (round(x * self.width), round(y * self.height))
        axes = (max(1, round(wide * self.width)), max(1, round(tall * self.height)))
        return cv2.ellipse(mask, center, axes, 0, 0, 360, 1, -1)


def draw_backdrop(height: int, width: int, rng: np.random.Generator) -> Backdrop:
    """Lay out one backdrop of a random kind.

    Args:
        height: rows in pixels.
        width: columns in pixels.
        rng: source of randomness.

    Returns:
        The finished backdrop: every pixel is painted and labeled.
    """
    backdrop = Backdrop(height, width, rng)
    shares = np.cumsum([share for share, _ in _KINDS])
    kind = int(np.searchsorted(shares, rng.integers(shares[-1]), side="right"))
    _KINDS[kind][1](backdrop)
    return backdrop


def _pick(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def _open_land(scene: Backdrop) -> None:
    """Sky over grass, sand or snow, often with mountains or a hedge at the horizon."""
    rng = scene.rng
    horizon = float(rng.uniform(0.3, 0.62))
    _horizon(scene, horizon)
    scene.lay(_pick(rng, _GROUNDS), scene.below(scene.level(horizon, rng.uniform(0.0, 0.05))))


def _horizon(scene: Backdrop, horizon: float) -> None:
    """Sky, then mountains, a hedge or nothing standing on the horizon."""
    rng = scene.rng
    scene.lay("sky", None)
    choice = rng.random()
    if choice < 0.36:
        scene.lay("mountain", scene.below(_ridge(scene, horizon)))
    elif choice < 0.7:
        top = horizon - float(rng.uniform(0.1, 0.26))
        scene.lay("hedge", scene.below(scene.level(top, rng.uniform(0.0, 0.03), 14.0)))


def _ridge(scene: Backdrop, horizon: float) -> np.ndarray:
    """Row numbers of a mountain skyline: a few straight-sided peaks with small crags."""
    rng = scene.rng
    line = np.full(scene.width, horizon * scene.height)
    at = np.arange(scene.width) / scene.width
    for _ in range(int(rng.integers(1, 5))):
        tall = float(rng.uniform(0.14, 0.34)) * scene.height
        steep = float(rng.uniform(1.6, 3.4))
        peak = horizon * scene.height - tall
        line = np.minimum(line, peak + np.abs(at - rng.uniform(0.0, 1.0)) * steep * tall)
    crags = curve(rng, scene.width, 0.0, 3.0 * scene.unit, 5.0 * scene.unit)
    return np.maximum(line + crags, 1.0)


def _coast(scene: Backdrop) -> None:
    """Sky over sea, mostly with a beach in front."""
    rng = scene.rng
    horizon = float(rng.uniform(0.2, 0.5))
    scene.lay("sky", None)
    if rng.random() < 0.3:
        scene.lay("mountain", scene.below(_ridge(scene, horizon)))
    scene.lay("sea", scene.below(scene.level(horizon)))
    if rng.random() < 0.6:
        shore = scene.level(rng.uniform(max(0.66, horizon + 0.25), 0.9), 0.07, 70.0)
        slope = (np.arange(scene.width) / scene.width - 0.5) * rng.uniform(-0.25, 0.25)
        scene.lay("sand", scene.below(shore + slope * scene.height))


def _street(scene: Backdrop) -> None:
    """A road through open land, towards the horizon or across the image."""
    rng = scene.rng
    horizon = float(rng.uniform(0.28, 0.52))
    _horizon(scene, horizon)
    scene.lay(_pick(rng, _GROUNDS), scene.below(scene.level(horizon)))
    if rng.random() < 0.5:
        _road_ahead(scene, horizon)
    else:
        _road_across(scene, horizon)


def _road_ahead(scene: Backdrop, horizon: float) -> None:
    rng = scene.rng
    far = float(rng.uniform(0.25, 0.75))
    near = float(rng.uniform(0.3, 0.7))
    half = float(rng.uniform(0.26, 0.46))
    tip = float(rng.uniform(0.02, 0.06))
    corners = [(far - tip, horizon), (far + tip, horizon), (near + half, 1.0), (near - half, 1.0)]
    scene.lay("road", scene.polygon(corners))
    paint = _marking(rng)
    start = float(rng.uniform(0.0, 0.12))
    for step in (0.05, 0.17, 0.36, 0.64):
        first, last = step + start * step * 2, (step + start * step * 2) * 1.45
        middle = [far + (near - far) * t for t in (first, last)]
        rows = [horizon + (1.0 - horizon) * t for t in (first, last)]
        wide = [0.03 * (tip + (half - tip) * t) / half for t in (first, last)]
        mark = [
            (middle[0] - wide[0] / 2, rows[0]),
            (middle[0] + wide[0] / 2, rows[0]),
            (middle[1] + wide[1] / 2, rows[1]),
            (middle[1] - wide[1] / 2, rows[1]),
        ]
        scene.image[scene.polygon(mark) != 0] = paint


def _road_across(scene: Backdrop, horizon: float) -> None:
    rng = scene.rng
    top = float(rng.uniform(horizon + 0.06, 0.68))
    tall = float(rng.uniform(0.2, 0.34))
    slant = float(rng.uniform(-0.08, 0.08))
    edges = [(0.0, top), (1.0, top + slant), (1.0, top + slant + tall), (0.0, top + tall)]
    scene.lay("road", scene.polygon(edges))
    paint = _marking(rng)
    middle = top + tall * 0.5
    dash = float(rng.uniform(0.07, 0.13))
    shift = float(rng.uniform(0.0, dash))
    for left in np.arange(-1, 1.0 / (2 * dash)) * 2 * dash + shift:
        ends = [(left, middle + slant * left), (left + dash, middle + slant * (left + dash))]
        mark = [*ends, *[(x, y + 0.018) for x, y in reversed(ends)]]
        scene.image[scene.polygon(mark) != 0] = paint


def _marking(rng: np.random.Generator) -> tuple[int, int, int]:
    return (224, 222, 212) if rng.random() < 0.7 else (226, 184, 58)


def _room(scene: Backdrop) -> None:
    """A brick wall over a floor, often with a carpet on it."""
    rng = scene.rng
    corner = float(rng.uniform(0.35, 0.68))
    floor = _pick(rng, ("wooden floor", "tiled floor"))
    scene.lay("brick wall", None)
    line = scene.level(corner)
    scene.lay(floor, scene.below(line))
    foot = np.s_[int(line[0]) : int(line[0]) + max(1, round(3 * scene.unit))]
    scene.image[foot] = scene.image[foot] // 2
    if rng.random() < 0.65:
        _carpet(scene, corner + 0.06, float(rng.uniform(0.88, 1.1)))


def _carpet(scene: Backdrop, top: float, bottom: float) -> None:
    """A round or a four-sided carpet between two heights, seen at an angle."""
    rng = scene.rng
    middle = float(rng.uniform(0.3, 0.7))
    half = float(rng.uniform(0.28, 0.5))
    if rng.random() < 0.5:
        mask = scene.ellipse(middle, (top + bottom) / 2, half, (bottom - top) / 2)
    else:
        lean = float(rng.uniform(0.0, 0.12))
        mask = scene.polygon(
            [
                (middle - half + lean, top),
                (middle + half - lean, top),
                (middle + half, bottom),
                (middle - half, bottom),
            ]
        )
    scene.lay("carpet", mask)
    hem = max(2, round(float(rng.uniform(2.0, 6.0)) * scene.unit))
    padded = cv2.copyMakeBorder(mask, hem, hem, hem, hem, cv2.BORDER_REPLICATE)
    inside = cv2.erode(padded, np.ones((2 * hem + 1, 2 * hem + 1), np.uint8))
    edge = (mask != 0) & (inside[hem:-hem, hem:-hem] == 0)
    scene.image[edge] = scene.image[edge] // 4 + rng.integers(20, 150, 3, dtype=np.uint8)


def _floor(scene: Backdrop) -> None:
    """A floor seen from above with a carpet."""
    scene.lay(_pick(scene.rng, ("wooden floor", "tiled floor")))
    _carpet(scene, float(scene.rng.uniform(0.05, 0.3)), float(scene.rng.uniform(0.65, 0.95)))


def _single(scene: Backdrop) -> None:
    """One texture."""
    scene.lay(_pick(scene.rng, tuple(STUFF)))


def _patchwork(scene: Backdrop) -> None:
    """Two or three textures that need not belong together; sky stays on top."""
    rng = scene.rng
    count = int(rng.integers(2, 4))
    names = [tuple(STUFF)[i] for i in rng.permutation(len(STUFF))[:count]]
    names.sort(key=lambda name: name != "sky")
    scene.lay(names[0])
    at = np.arange(scene.width) / scene.width - 0.5
    for i, name in enumerate(names[1:], start=1):
        share = (i + float(rng.uniform(-0.25, 0.25))) / count
        line = scene.level(share, float(rng.choice([0.0, 0.0, 0.08])), 50.0)
        scene.lay(name, scene.below(line + at * scene.height * rng.uniform(-0.5, 0.5)))


_KINDS: tuple[tuple[int, Callable[[Backdrop], None]], ...] = (
    (22, _open_land),
    (17, _coast),
    (17, _street),
    (22, _room),
    (6, _floor),
    (8, _single),
    (14, _patchwork),
)
