"""Pages of deep or many-band TIFF files as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from ovseg.errors import InputError, RuntimeLimitError
from ovseg.pictures import tiff
from ovseg.pictures.depth import to_uint8
from ovseg.pictures.frame import check_size, to_rgb, turn
from ovseg.pictures.options import Picture, ReadOptions

__all__ = ["deep_tiff_pages"]

_ALPHA = (1, 2)
"""Values of the tag ExtraSamples that mean opacity."""


def deep_tiff_pages(data: bytes, source: str, options: ReadOptions) -> Iterator[Picture]:
    """Decode the pages of a TIFF at full depth, with the bands that are wanted.

    Args:
        data: the whole file.
        source: the picture's name.
        options: how to read it.

    Yields:
        One picture a page.

    Raises:
        InputError: more than four bands and none chosen, or a layout that is not supported.
        RuntimeLimitError: more pixels than allowed.
    """
    pages = list(tiff.directories(data))
    for index, tags in enumerate(pages):
        check_size(tags[tiff.WIDTH], tags[tiff.HEIGHT], source, options)
        notes: dict[str, Any] = {}
        bands = tags.get(tiff.SAMPLES, 1)
        if bands > 4 and options.bands is None:
            raise InputError(
                f"{bands} bands",
                where=source,
                expected="at most 4",
                fix="choose three of them, or one for gray (--bands 2,1,0 counts from 0)",
            )
        _check_bands(bands * tags[tiff.WIDTH] * tags[tiff.HEIGHT], source, options)
        values = tiff.read_bands(data, tags, source, options.bands)
        if options.bands is None:
            values = _tiff_colours(values, tags, source, options, notes)
        pixels = to_rgb(values, source, options, notes)
        orientation = tags.get(tiff.ORIENTATION, 1)
        if orientation in range(2, 9):
            notes["exif_orientation"] = orientation
            pixels = pixels if options.ignore_exif else turn(pixels, orientation)
        if len(pages) > 1:
            notes.update(frames=len(pages), frame=index)
        yield Picture(np.ascontiguousarray(pixels), source, notes)


def _check_bands(samples: int, source: str, options: ReadOptions) -> None:
    """Many bands must not get around the pixel limit: at most 16 a pixel of the largest picture."""
    if samples > 16 * options.max_pixels:
        raise RuntimeLimitError(
            f"{samples:,} samples in all bands",
            where=source,
            expected=f"at most {16 * options.max_pixels:,}",
            fix="raise --max-pixels if you trust the file, or store fewer bands",
        )


def _tiff_colours(
    values: np.ndarray,
    tags: tiff.Tags,
    source: str,
    options: ReadOptions,
    notes: dict[str, Any],
) -> np.ndarray:
    """RGB, RGBA or gray from all the samples of a page; in 8 bits where colours are converted."""
    photometric, bands = tags.get(tiff.PHOTOMETRIC, 1), values.shape[2]
    extra = tags.get(tiff.EXTRA_SAMPLES, (0,))
    alpha = (extra if isinstance(extra, tuple) else (extra,))[0]
    if (photometric, bands) in ((0, 2), (1, 2), (2, 4)) and alpha not in _ALPHA:
        values, bands = values[..., :-1], bands - 1
    if (photometric, bands) in ((0, 1), (0, 2), (5, 4)):
        values, rule = to_uint8(values, options.value_range, source)
        notes.update({} if rule is None else {"depth": rule})
        if photometric == 5:
            return np.asarray(Image.fromarray(values, "CMYK").convert("RGB"))
        values = np.concatenate([255 - values[..., :1], values[..., 1:]], axis=2)
    elif (photometric, bands) not in ((1, 1), (1, 2), (2, 3), (2, 4)):
        raise InputError(
            f"{bands} bands whose colours are not known (TIFF photometric {photometric})",
            where=source,
            fix="choose three of them, or one for gray (--bands 2,1,0 counts from 0)",
        )
    return values[..., [0, 0, 0, 1]] if bands == 2 else values
