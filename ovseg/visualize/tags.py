"""Class names written onto the regions themselves, where they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from ovseg.visualize.fonts import font_for, text_size

__all__ = ["with_tags"]

_SEARCH_SIDE = 384
_Box = tuple[float, float, float, float]


def with_tags(
    image: np.ndarray, labels: np.ndarray, named: Sequence[tuple[int, str]], size: int
) -> np.ndarray:
    """Write each class's name once, in the widest place of its regions.

    Names that do not fit there, or would cover another one, are left out.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) integers.
        named: (label, name) in the order in which they get their place.
        size: height of the text in pixels.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    taken: list[_Box] = []
    for name, (x, y), radius in _places(labels, named, size):
        width, height = text_size(name, size)
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        inside = min(box) >= 0 and box[2] <= labels.shape[1] and box[3] <= labels.shape[0]
        fits = inside and width <= 2.6 * radius and height <= 1.6 * radius
        if not fits or any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        font, text = font_for(name, size)
        stroke = max(1, round(size / 10))
        draw.text((x, y), text, "white", font, "mm", stroke_width=stroke, stroke_fill=(30, 30, 30))
    return np.array(canvas)


def _places(
    labels: np.ndarray, named: Sequence[tuple[int, str]], size: int
) -> Iterator[tuple[str, tuple[float, float], float]]:
    """The center and radius of the largest circle inside each class, on a thinned grid."""
    import cv2

    step = max(1, min(max(labels.shape) // _SEARCH_SIDE, size // 3))
    thin = labels[::step, ::step]
    for label, name in named:
        mask = cv2.copyMakeBorder((thin == label).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        distance = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
        _, radius, _, (column, row) = cv2.minMaxLoc(distance)
        yield name, ((column - 0.5) * step, (row - 0.5) * step), radius * step


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
