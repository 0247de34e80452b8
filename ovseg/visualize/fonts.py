"""Fonts for class names: Pillow's own, or one of the system's for scripts that it lacks."""

from __future__ import annotations

import functools
import importlib.util
from contextlib import suppress
from pathlib import Path

from PIL import ImageFont

__all__ = ["Font", "font_for", "text_size"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OTHERS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "Hiragino Sans GB.ttc", "PingFang.ttc", "msyh.ttc"),
    *("AppleSDGothicNeo.ttc", "NotoSansArabic-Regular.ttf", "NotoSansDevanagari-Regular.ttf"),
)


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
