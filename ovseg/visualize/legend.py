"""Text on images: legends beside or below them, and fonts that have the glyphs of any script."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ovseg.visualize.palette import Color

__all__ = [
    "LegendEntry",
    "Font",
    "font_for",
    "magnification",
    "text_height",
    "text_size",
    "with_legend",
]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OTHERS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "Hiragino Sans GB.ttc", "PingFang.ttc", "msyh.ttc"),
    *("AppleSDGothicNeo.ttc", "NotoSansArabic-Regular.ttf", "NotoSansDevanagari-Regular.ttf"),
)

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


@functools.lru_cache(maxsize=4096)
def font_for(text: str, size: int) -> tuple[Font, str]:
    """Choose a font that has the glyphs of `text`.

    Args:
        text: what is to be written.
        size: height in pixels.

    Returns:
        The first font that has every glyph, and the text; where no font does, the font with the
        most of them, and the text with `<U+...>` for the characters it lacks.

    Example:
        >>> font_for("tree", 12)[1]
        'tree'
    """
    text = " ".join(text.split())
    fonts = [_own_font(size)]
    if not text.isascii():
        fonts += _system_fonts(size)
    missing = [_missing(font, text) for font in fonts]
    best = min(range(len(fonts)), key=lambda index: len(missing[index]))
    return fonts[best], "".join(f"<U+{ord(c):04X}>" if c in missing[best] else c for c in text)


def text_size(text: str, size: int) -> tuple[int, int]:
    """Width and height in pixels of a line as `font_for` would write it."""
    font, shown = font_for(text, size)
    left, top, right, bottom = font.getbbox(shown)
    return int(right - min(left, 0)), int(bottom - min(top, 0))


@functools.lru_cache(maxsize=64)
def _own_font(size: int) -> Font:
    return ImageFont.load_default(size)


@functools.lru_cache(maxsize=64)
def _system_fonts(size: int) -> list[Font]:
    """Those of the known fonts that are installed; matplotlib brings DejaVu along everywhere."""
    found: list[Font] = []
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    for name in (*_OTHERS, str(folder / "mpl-data/fonts/ttf/DejaVuSans.ttf")):
        with suppress(OSError):
            found.append(ImageFont.truetype(name, size))
    return found


def _missing(font: Font, text: str) -> set[str]:
    """Characters that a font shows as its box for unknown ones."""
    unknown = _glyph(font, "\U0010fffd")
    return {c for c in text if c.isprintable() and c != " " and _glyph(font, c) == unknown}


def _glyph(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
