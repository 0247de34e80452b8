"""An image under the colors of its classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ovseg.errors import ConfigError, InputError
from ovseg.visualize.legend import LegendEntry, magnification, text_height, with_legend
from ovseg.visualize.palette import Color
from ovseg.visualize.tags import with_tags

__all__ = ["overlay_labels", "explained"]

_MOST_NAMED = 60


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
