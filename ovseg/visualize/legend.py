"""Legends: which color is which class, beside or below an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ovseg.visualize.fonts import font_for, text_size
from ovseg.visualize.palette import Color

__all__ = ["LegendEntry", "magnification", "text_height", "with_legend"]

_SMALLEST_SIDE = 256
_LONGEST_TEXT = 28


@dataclass(frozen=True)
class LegendEntry:
    """One line of a legend.

    Args:
        name: the class.
        color: its RGB color.
        share: part of the image that it covers, 0..1; None leaves it out.
    """

    name: str
    color: Color
    share: float | None = None


def magnification(shape: tuple[int, ...]) -> int:
    """The whole factor by which a small image grows to have room for text.

    Args:
        shape: height and width in pixels.

    Returns:
        1 for images of 256 px and more.

    Example:
        >>> magnification((64, 50)), magnification((480, 640))
        (4, 1)
    """
    return -(-_SMALLEST_SIDE // max(shape[:2]))


def text_height(shape: tuple[int, ...]) -> int:
    """Height of the text that suits an image, in pixels.

    Args:
        shape: height and width in pixels.

    Returns:
        A 34th of the short side, within 12..72.
    """
    return int(np.clip(round(min(shape[:2]) / 34), 12, 72))


def with_legend(
    image: np.ndarray, entries: Sequence[LegendEntry], size: int | None = None
) -> np.ndarray:
    """Put a legend beside or below an image, whichever makes the smaller sheet.

    Args:
        image: (H, W, 3) uint8 RGB.
        entries: what to list, in this order.
        size: height of the text in pixels; None takes what suits the image.

    Returns:
        (H', W', 3) uint8 RGB with the image at the top left.
    """
    if not entries:
        return image
    height, width = image.shape[:2]
    size = size or text_height(image.shape)
    drawn = [_draw_entry(entry, size) for entry in entries]
    line, widest = drawn[0].shape[0], max(each.shape[1] for each in drawn)
    beside = _columns(drawn, max(1, (height - size) // line), size)
    below = _columns(drawn, -(-len(drawn) // max(1, (width - size) // widest)), size)
    right = max(height, beside.shape[0]) * (width + beside.shape[1])
    under = (height + below.shape[0]) * max(width, below.shape[1])
    return _stack((image, beside), axis=1) if right <= under else _stack((image, below), axis=0)


def _draw_entry(entry: LegendEntry, size: int) -> np.ndarray:
    """A swatch, the class name and its share on white."""
    name = entry.name if len(entry.name) <= _LONGEST_TEXT else entry.name[: _LONGEST_TEXT - 1] + "…"
    share = _percent(entry.share)
    text_left = round(1.6 * size)
    share_left = text_left + text_size(name, size)[0] + size // 2
    width = share_left + (text_size(share, size)[0] if share else 0) + size
    height = round(1.5 * size)
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    top = (height - size) // 2
    draw.rectangle((0, top, round(1.1 * size), top + size), fill=entry.color, outline=(60, 60, 60))
    for text, left, color in ((name, text_left, (20, 20, 20)), (share, share_left, (120,) * 3)):
        font, shown = font_for(text, size)
        draw.text((left, height // 2), shown, color, font, "lm")
    return np.asarray(canvas)


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{100 * share:.1f}%" if share >= 0.0005 else "<0.1%"


def _columns(drawn: Sequence[np.ndarray], most_rows: int, size: int) -> np.ndarray:
    """Entries in columns of equal length, each as wide as it needs to be."""
    rows = -(-len(drawn) // -(-len(drawn) // most_rows))
    columns = [_stack(drawn[start : start + rows], axis=0) for start in range(0, len(drawn), rows)]
    return np.pad(_stack(columns, axis=1), ((size // 2,) * 2,) * 2 + ((0, 0),), constant_values=255)


def _stack(parts: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Images below (axis 0) or beside (axis 1) each other on white."""
    shape = [max(part.shape[0] for part in parts), max(part.shape[1] for part in parts), 3]
    shape[axis] = sum(part.shape[axis] for part in parts)
    sheet = np.full(shape, 255, np.uint8)
    corner = [0, 0]
    for part in parts:
        top, left = corner
        sheet[top : top + part.shape[0], left : left + part.shape[1]] = part
        corner[axis] += part.shape[axis]
    return sheet
