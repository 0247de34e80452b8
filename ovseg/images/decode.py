"""Decode the bytes of an image file, frame by frame, into upright 8-bit RGB."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from ovseg.errors import InputError, OvsegError, RuntimeLimitError
from ovseg.images import tiff
from ovseg.images.frame import check_image_size, finish, pillow_settings, turn
from ovseg.images.options import LoadedImage, ReadOptions
from ovseg.images.sniff import identify

__all__ = ["convert", "decode_file"]

_ORIENTATION = 0x0112
_UNDO = {6: 8, 8: 6}


def decode_file(data: bytes, source: str, options: ReadOptions) -> Iterator[LoadedImage]:
    """Decode the frames of an image file one after the other.

    Args:
        data: the whole file.
        source: the image's name, for messages and for `LoadedImage.source`.
        options: how to read it.

    Yields:
        One image a frame or page.

    Raises:
        InputError: the bytes are no image, or a damaged or unsupported one.
        RuntimeLimitError: more pixels than allowed; found before anything is decoded.
    """
    kind = identify(data, source)
    frames = _frames(data, kind, source, options)
    for index in itertools.count():
        with _explained(f"{source} (frame {index})" if index else source, options):
            image = next(frames, None)
        if image is None:
            return
        yield image


def convert(image: Image.Image, source: str, options: ReadOptions) -> LoadedImage:
    """Turn an open Pillow image (its current frame) into an image.

    Args:
        image: any mode that has colors.
        source: the image's name.
        options: how to read it.

    Returns:
        The image.

    Raises:
        InputError: damaged data, or values without a scale.
        RuntimeLimitError: more pixels than allowed.
    """
    with _explained(source, options):
        return _convert(image, image, source, options)


def _frames(data: bytes, kind: str, source: str, options: ReadOptions) -> Iterator[LoadedImage]:
    if kind == "TIFF":
        first = next(tiff.directories(data), None)
        if first is not None and (options.bands or tiff.is_deep(first)):
            yield from tiff.deep_pages(data, source, options)
            return
    image = _open(data, kind)
    check_image_size(*image.size, source, options)
    count = _frame_count(image)
    for index in range(count):
        image.seek(index)
        again = _open(data, kind) if options.allow_truncated else image
        deep_png = data if kind == "PNG" and data[24:25] == b"\x10" else None
        loaded = _convert(image, again, source, options, deep_png)
        if count > 1:
            loaded.notes.update(frames=count, frame=index)
        yield loaded


def _open(data: bytes, kind: str) -> Image.Image:
    """Read the header, without Pillow's own pixel limit: `max_pixels` takes its place."""
    return Image.OPEN[kind][0](io.BytesIO(data), "")


def _frame_count(image: Image.Image) -> int:
    try:
        return getattr(image, "n_frames", 1)
    except (OSError, SyntaxError, ValueError, EOFError):
        return 1


def _convert(
    image: Image.Image,
    again: Image.Image,
    source: str,
    options: ReadOptions,
    deep_png: bytes | None = None,
) -> LoadedImage:
    check_image_size(*image.size, source, options)
    notes: dict[str, Any] = {}
    tiff_orientation = getattr(image, "tag_v2", {}).get(_ORIENTATION, 1)
    image, truncated = _load(image, again, options)
    if truncated:
        notes["truncated"] = True
    if image.mode not in ("RGB", "L"):
        notes["mode"] = image.mode
    if deep_png is not None and not truncated and image.mode in ("RGB", "RGBA"):
        values = _deep_png(deep_png)
    else:
        values = _values(image)
    orientation = _orientation(image)
    if orientation == 1 and tiff_orientation in range(2, 9):  # Pillow has turned it by itself
        orientation = tiff_orientation
        values = turn(values, _UNDO.get(orientation, orientation))
    return finish(values, orientation, source, options, notes)


def _load(image: Image.Image, again: Image.Image, options: ReadOptions) -> tuple[Image.Image, bool]:
    """Decode; with `allow_truncated` a damaged file is decoded as far as it goes."""
    large = image.size[0] * image.size[1] > (Image.MAX_IMAGE_PIXELS or 0)
    try:
        with pillow_settings(large, False):
            image.load()
        return image, False
    except (OSError, SyntaxError, EOFError, ValueError):
        if not options.allow_truncated:
            raise
    if again is not image:
        again.seek(image.tell())
    with pillow_settings(large, True):
        again.load()
    return again, True


def _values(image: Image.Image) -> np.ndarray:
    """(H, W) or (H, W, 3 or 4) values at the depth that Pillow holds."""
    if image.mode.startswith("I;16"):
        return np.array(image, np.uint16)
    if image.mode == "I":
        values = np.array(image)
        sixteen = image.format in ("PNG", "PPM")
        return np.clip(values, 0, 65535).astype(np.uint16) if sixteen else values
    if image.mode == "F":
        return np.array(image)
    if image.has_transparency_data:
        return np.array(image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _deep_png(data: bytes) -> np.ndarray:
    import cv2

    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise OSError("broken 16-bit PNG")
    order = cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(values, order)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation that is still to be applied; a broken EXIF block counts as none."""
    try:
        number: int = image.getexif().get(_ORIENTATION, 1)
        return number
    except Exception:
        return 1


@contextmanager
def _explained(source: str, options: ReadOptions) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged bytes into our errors."""
    try:
        yield
    except OvsegError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise RuntimeLimitError(
            f"too large to decode ({error or 'out of memory'})",
            where=source,
            fix="make the image smaller",
        ) from error
    except Exception as error:
        cut = "truncated" in str(error).lower()
        hint = (
            ""
            if options.allow_truncated or not cut
            else ", or read what is there (--allow-truncated)"
        )
        raise InputError(
            "the file is truncated" if cut else f"cannot be decoded ({error})",
            where=source,
            expected="a complete image file",
            fix=f"copy or download it again{hint}",
        ) from error
