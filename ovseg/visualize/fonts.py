"""Fonts for class names: Pillow's own, or one of the system's for scripts that it lacks."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from PIL import ImageFont

__all__ = ["Font", "font_for", "text_size"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OTHERS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "Hiragino Sans GB.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "AppleSDGothicNeo.ttc",
    "NotoSansArabic-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
)


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
    default = _font(0, size)
    if text.isascii():
        return default, text
    best, best_missing = default, _missing(text, 0)
    for index in range(1, 1 + len(_candidates())):
        if not best_missing:
            break
        missing = _missing(text, index)
        if len(missing) < len(best_missing):
            best, best_missing = _font(index, size), missing
    return best, "".join(f"<U+{ord(c):04X}>" if c in best_missing else c for c in text)


def text_size(text: str, size: int) -> tuple[int, int]:
    """Width and height in pixels of a line as `font_for` would write it."""
    font, shown = font_for(text, size)
    left, top, right, bottom = font.getbbox(shown)
    return int(right - min(left, 0)), int(bottom - min(top, 0))


@functools.cache
def _candidates() -> tuple[str, ...]:
    """Fonts that can be opened here; matplotlib brings DejaVu along on every system."""
    names = list(_OTHERS)
    spec = importlib.util.find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        names.append(str(Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"))
    found = []
    for name in names:
        try:
            ImageFont.truetype(name, 12)
        except OSError:
            continue
        found.append(name)
    return tuple(found)


@functools.lru_cache(maxsize=64)
def _font(index: int, size: int) -> Font:
    return (
        ImageFont.load_default(size)
        if index == 0
        else ImageFont.truetype(_candidates()[index - 1], size)
    )


@functools.lru_cache(maxsize=4096)
def _missing(text: str, index: int) -> frozenset[str]:
    """Characters that a font shows as its box for unknown ones."""
    font = _font(index, 16)
    unknown = _glyph(font, "\U0010fffd")
    return frozenset(c for c in text if c.isprintable() and c != " " and _glyph(font, c) == unknown)


def _glyph(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
