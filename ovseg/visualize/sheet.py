"""Contact sheets: images in rows under titled columns, with one legend for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ovseg.errors import ConfigError
from ovseg.visualize.legend import LegendEntry, font_for, text_size, with_legend

__all__ = ["contact_sheet"]

_TEXT = 16
_GAP = 8


def contact_sheet(
    titles: Sequence[str],
    rows: Sequence[Sequence[np.ndarray]],
    *,
    captions: Sequence[str] = (),
    entries: Sequence[LegendEntry] = (),
    cell: tuple[int, int] = (240, 320),
) -> np.ndarray:
    """Put images on one sheet.

    Args:
        titles: one a column.
        rows: for each row its (H, W, 3) uint8 RGB images, one a column.
        captions: one a row, written below it; none for no captions.
        entries: a legend for all of them.
        cell: height and width in pixels of the room for an image, which keeps its proportions.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ConfigError: no rows, or rows that do not fit the titles or captions.

    Example:
        >>> gray = np.full((60, 80, 3), 128, np.uint8)
        >>> contact_sheet(["image", "model"], [[gray, gray]], cell=(60, 80)).shape
        (100, 184, 3)
    """
    uneven = [len(row) for row in rows if len(row) != len(titles)]
    if not rows or uneven or (captions and len(captions) != len(rows)):
        raise ConfigError(
            f"{len(rows)} rows, {len(titles)} titles, {len(captions)} captions"
            + (f"; a row of {uneven[0]} images" if uneven else ""),
            where="contact sheet",
            expected="an image for every title in every row, and no captions or one a row",
        )
    line = _TEXT + _GAP
    height, width = cell
    step = height + _GAP + (line if captions else 0)
    shape = (line + _GAP + len(rows) * step, len(titles) * (width + _GAP) + _GAP)
    sheet = Image.new("RGB", shape[::-1], "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        _write(draw, title, _GAP + column * (width + _GAP), _GAP, width)
    for index, row in enumerate(rows):
        top = line + _GAP + index * step
        for column, image in enumerate(row):
            fitted = _fit(image, cell)
            left = _GAP + column * (width + _GAP) + (width - fitted.width) // 2
            sheet.paste(fitted, (left, top + (height - fitted.height) // 2))
        if captions:
            _write(draw, captions[index], _GAP, top + height + _GAP // 2, shape[1] - 2 * _GAP)
    return with_legend(np.array(sheet), entries, _TEXT)


def _fit(image: np.ndarray, cell: tuple[int, int]) -> Image.Image:
    """The image as large as the cell allows; small ones grow by whole pixels' edges."""
    height, width = image.shape[:2]
    scale = min(cell[0] / height, cell[1] / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    return Image.fromarray(image).resize(size, method)


def _write(draw: ImageDraw.ImageDraw, text: str, left: int, top: int, width: int) -> None:
    """One line of text, cut with an ellipsis where it would be wider than `width`."""
    if text_size(text, _TEXT)[0] > width:
        while text and text_size(text + "…", _TEXT)[0] > width:
            text = text[:-1]
        text += "…"
    font, shown = font_for(text, _TEXT)
    draw.text((left, top + _TEXT // 2), shown, (20, 20, 20), font, "lm")
