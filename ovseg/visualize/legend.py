"""Legends: which colour is which class, beside or below a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ovseg.visualize.fonts import font_for, text_size
from ovseg.visualize.palette import Colour

__all__ = ["Entry", "with_legend"]

_SMALLEST_SIDE = 256
_LONGEST_TEXT = 28


@dataclass(frozen=True)
class Entry:
    """One line of a legend.

    Args:
        name: the class.
        colour: its RGB colour.
        share: part of the picture that it covers, 0..1.
    """

    name: str
    colour: Colour
    share: float


def with_legend(image: np.ndarray, entries: Sequence[Entry]) -> np.ndarray:
    """Put a legend beside or below a picture, whichever makes the smaller sheet.

    Pictures below 256 px are enlarged by a whole factor first, so that the text has room.

    Args:
        image: (H, W, 3) uint8 RGB.
        entries: what to list, in this order.

    Returns:
        (H', W', 3) uint8 RGB with the picture at the top left.
    """
    factor = -(-_SMALLEST_SIDE // max(image.shape[:2]))
    image = image.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else image
    if not entries:
        return image
    height, width = image.shape[:2]
    size = int(np.clip(round(min(height, width) / 34), 12, 72))
    drawn = [_draw_entry(entry, size) for entry in entries]
    cell = max(d.shape[1] for d in drawn), drawn[0].shape[0]
    beside = _columns(drawn, cell, rows=max(1, (height - size) // cell[1]), size=size)
    below = _columns(
        drawn, cell, rows=-(-len(drawn) // max(1, (width - size) // cell[0])), size=size
    )
    right = _area((max(height, beside.shape[0]), width + beside.shape[1]))
    under = _area((height + below.shape[0], max(width, below.shape[1])))
    if right <= under:
        return _join(image, beside, axis=1)
    return _join(image, below, axis=0)


def _draw_entry(entry: Entry, size: int) -> np.ndarray:
    """A swatch, the class name and its share on white."""
    name = entry.name if len(entry.name) <= _LONGEST_TEXT else entry.name[: _LONGEST_TEXT - 1] + "…"
    share = f"{100 * entry.share:.1f}%" if entry.share >= 0.0005 else "<0.1%"
    width = (
        round(1.6 * size)
        + text_size(name, size)[0]
        + size // 2
        + text_size("00.0%", size)[0]
        + size
    )
    height = round(1.5 * size)
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    top = (height - size) // 2
    draw.rectangle((0, top, round(1.1 * size), top + size), fill=entry.colour, outline=(60, 60, 60))
    font, text = font_for(name, size)
    draw.text((round(1.6 * size), height // 2), text, fill=(20, 20, 20), font=font, anchor="lm")
    font, text = font_for(share, size)
    end = round(1.6 * size) + text_size(name, size)[0] + size // 2
    draw.text((end, height // 2), text, fill=(120, 120, 120), font=font, anchor="lm")
    return np.asarray(canvas)


def _columns(
    drawn: Sequence[np.ndarray], cell: tuple[int, int], rows: int, size: int
) -> np.ndarray:
    columns = -(-len(drawn) // rows)
    margin = size // 2
    shape = (min(rows, len(drawn)) * cell[1] + 2 * margin, columns * cell[0] + 2 * margin, 3)
    sheet = np.full(shape, 255, np.uint8)
    for index, entry in enumerate(drawn):
        top = margin + index % rows * cell[1]
        left = margin + index // rows * cell[0]
        sheet[top : top + entry.shape[0], left : left + entry.shape[1]] = entry
    return sheet


def _area(shape: tuple[int, int]) -> int:
    return shape[0] * shape[1]


def _join(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    other = 1 - axis
    shape = [0, 0, 3]
    shape[axis] = first.shape[axis] + second.shape[axis]
    shape[other] = max(first.shape[other], second.shape[other])
    sheet = np.full(shape, 255, np.uint8)
    sheet[: first.shape[0], : first.shape[1]] = first
    top, left = (first.shape[0], 0) if axis == 0 else (0, first.shape[1])
    sheet[top : top + second.shape[0], left : left + second.shape[1]] = second
    return sheet
