"""What every frame goes through: size limit, Pillow's settings, 8-bit RGB, upright."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from ovseg.errors import InputError, RuntimeLimitError
from ovseg.images.depth import to_uint8
from ovseg.images.options import LoadedImage, ReadOptions

__all__ = ["check_image_size", "finish", "pillow_settings", "turn"]

_settings = threading.RLock()


def check_image_size(width: int, height: int, source: str, options: ReadOptions) -> None:
    """Refuse an image by the size that its header tells, before it is decoded.

    Args:
        width: pixels.
        height: pixels.
        source: the image's name, for messages.
        options: holds `max_pixels`.

    Raises:
        InputError: no pixels at all.
        RuntimeLimitError: more than `options.max_pixels`.
    """
    if width < 1 or height < 1:
        raise InputError(f"the size is {width} x {height}", where=source, expected="pixels")
    if width * height > options.max_pixels:
        raise RuntimeLimitError(
            f"{width} x {height} = {width * height:,} pixels",
            where=source,
            expected=f"at most {options.max_pixels:,}",
            fix="raise --max-pixels if you trust the file, or make the image smaller",
        )


def finish(
    values: np.ndarray, orientation: int, source: str, options: ReadOptions, notes: dict[str, Any]
) -> LoadedImage:
    """Bring decoded values to upright 8-bit RGB and note what that took.

    Args:
        values: (H, W), or (H, W, 1, 3 or 4) where the fourth channel is alpha, as stored.
        orientation: that of EXIF; what is not in 1..8 counts as 1.
        source: the image's name.
        options: value range, the color below transparent areas, whether to turn.
        notes: gets `depth`, `transparent` and `exif_orientation`.

    Returns:
        The image.

    Raises:
        InputError: values without a scale.
    """
    pixels = _to_rgb(values, source, options, notes)
    if orientation in range(2, 9):
        notes["exif_orientation"] = orientation
        pixels = pixels if options.ignore_exif else turn(pixels, orientation)
    return LoadedImage(np.ascontiguousarray(pixels), source, notes)


def _to_rgb(
    values: np.ndarray, source: str, options: ReadOptions, notes: dict[str, Any]
) -> np.ndarray:
    flat, rule = to_uint8(values, options.value_range, source)
    if rule is not None:
        notes["depth"] = rule
    if flat.ndim == 2 or flat.shape[2] == 1:
        return np.repeat(flat.reshape(*flat.shape[:2], 1), 3, axis=2)
    if flat.shape[2] == 4:
        alpha = flat[..., 3:].astype(np.uint16)
        notes["transparent"] = round(float((alpha == 0).mean()), 6)
        below = np.asarray(options.alpha_background, np.uint16)
        return ((flat[..., :3] * alpha + below * (255 - alpha) + 127) // 255).astype(np.uint8)
    return flat


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a stored image upright by its EXIF orientation (EXIF 2.3, tag 0x0112).

    Args:
        pixels: (H, W, ...) array as stored.
        orientation: 1..8.

    Returns:
        A view of `pixels`; height and width are swapped for 5 to 8.

    Example:
        >>> turn(np.array([[1, 2, 3]]), 6).tolist()
        [[1], [2], [3]]
    """
    turned = pixels
    if orientation in (5, 6, 7, 8):
        turned = turned.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    return turned


@contextmanager
def pillow_settings(unlimited: bool, lenient: bool) -> Iterator[None]:
    """Change Pillow's process-wide settings for one load; ordinary loads never wait here.

    Args:
        unlimited: switch its pixel limit off, where `check_image_size` has passed the image.
        lenient: fill up what a damaged file lacks.
    """
    if not unlimited and not lenient:
        yield
        return
    with _settings:
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS = None if unlimited else before[0]
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before
