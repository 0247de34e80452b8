"""An image under the colors of its classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from ovseg.errors import ConfigError, InputError
from ovseg.visualize.legend import (
    LegendEntry,
    font_for,
    magnification,
    text_height,
    text_size,
    with_legend,
)
from ovseg.visualize.palette import Color

__all__ = ["overlay_labels", "explained", "with_tags"]

_MOST_NAMED = 60
_SEARCH_SIDE = 384
_Box = tuple[float, float, float, float]


def overlay_labels(
    image: np.ndarray | None,
    labels: np.ndarray,
    palette: Sequence[Color],
    *,
    alpha: float = 0.5,
    borders: bool = True,
) -> np.ndarray:
    """Lay class colors over an image.

    Args:
        image: (H, W, 3) uint8 RGB, or None to show the colors alone.
        labels: (H, W) integers; a label without a color (ignore) leaves the image as it is.
        palette: RGB color of each class.
        alpha: weight of the colors, from 0 (image only) to 1 (colors only).
        borders: draw thin lines between regions, wider in large images.

    Returns:
        (H, W, 3) uint8 RGB, a new array.

    Raises:
        InputError: image and labels differ in size.
        ConfigError: `alpha` lies outside [0, 1].

    Example:
        >>> black = np.zeros((1, 1, 3), np.uint8)
        >>> overlay_labels(black, np.zeros((1, 1), int), [(200, 100, 0)])[0, 0].tolist()
        [100, 50, 0]
    """
    import cv2

    if not 0 <= alpha <= 1:
        raise ConfigError(f"{alpha} cannot be used", where="alpha", expected="a number in [0, 1]")
    if image is not None and image.shape != (*labels.shape, 3):
        raise InputError(
            f"image of shape {image.shape} over labels of shape {labels.shape}",
            expected="the same height and width",
        )
    if image is None:
        image, alpha = np.full((*labels.shape, 3), 128, np.uint8), 1.0
    known = (labels >= 0) & (labels < len(palette))
    table = np.asarray(palette, np.uint8).reshape(-1, 3)
    colors = np.take(table, labels if known.all() else np.where(known, labels, 0), axis=0)
    mixed = cv2.addWeighted(np.ascontiguousarray(image), 1 - alpha, colors, alpha, 0)
    if borders and alpha > 0:
        _draw_borders(mixed, labels)
    if not known.all():
        mixed[~known] = image[~known]
    return mixed


def explained(
    image: np.ndarray | None,
    labels: np.ndarray,
    palette: Sequence[Color],
    classes: Sequence[str],
    present: Sequence[tuple[int, int]],
    *,
    alpha: float = 0.5,
) -> np.ndarray:
    """A blended image with the names of its classes on their regions and in a legend.

    Images below 256 px are enlarged by a whole factor, so that the text has room. After 60
    classes the legend sums up the others in one line.

    Args:
        image: (H, W, 3) uint8 RGB, or None.
        labels: (H, W) integers.
        palette: RGB color of each class.
        classes: name of each class.
        present: (class index, pixels) of the classes to list, in this order.
        alpha: weight of the colors.

    Returns:
        (H', W', 3) uint8 RGB with the image at the top left.
    """
    shown = present[:_MOST_NAMED]
    named = [(i, classes[i]) for i, _ in shown]
    entries = [LegendEntry(classes[i], palette[i], count / labels.size) for i, count in shown]
    if others := [count for _, count in present[_MOST_NAMED:]]:
        entries.append(
            LegendEntry(f"{len(others)} more", (255, 255, 255), sum(others) / labels.size)
        )
    factor = magnification(labels.shape)
    if factor > 1:
        labels = labels.repeat(factor, axis=0).repeat(factor, axis=1)
        if image is not None:
            image = image.repeat(factor, axis=0).repeat(factor, axis=1)
    blended = overlay_labels(image, labels, palette, alpha=alpha)
    return with_legend(with_tags(blended, labels, named, text_height(labels.shape)), entries)


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


def _draw_borders(image: np.ndarray, labels: np.ndarray) -> None:
    """Lines of about a 500th of the image's short side, white, between different labels."""
    import cv2

    edge: np.ndarray = np.zeros(labels.shape, np.uint8)
    edge[:, 1:] = labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    width = max(1, round(min(labels.shape) / 500))
    if width > 1:
        edge = cv2.dilate(edge, np.ones((width, width), np.uint8))
    image[edge.astype(bool)] = 255
