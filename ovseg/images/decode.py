"""Decode images with Pillow, frame by frame, and bring them to upright 8-bit RGB."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFile

from ovseg.errors import InputError, RuntimeLimitError
from ovseg.images.depth import to_uint8
from ovseg.images.options import LoadedImage, ReadOptions

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "check_size",
    "convert",
    "finish",
    "pillow_frames",
    "pillow_settings",
    "require_rgb",
    "to_pixels",
    "turn",
]

_ORIENTATION = 0x0112
_UNDO = {6: 8, 8: 6}
_settings = threading.RLock()


def pillow_frames(
    data: bytes, kind: str, source: str, options: ReadOptions
) -> Iterator[LoadedImage]:
    """Decode the frames of an image file one after the other.

    Args:
        data: the whole file.
        kind: its format in Pillow's table.
        source: the image's name, for messages and for `LoadedImage.source`.
        options: how to read it.

    Yields:
        One image a frame or page.

    Raises:
        InputError: values without a scale, or no pixels.
        RuntimeLimitError: more pixels than allowed; found before anything is decoded.
        OSError, SyntaxError, ValueError, EOFError: damaged data, whatever Pillow says of it.
    """
    image_tensor = _open(data, kind)
    check_size(*image_tensor.size, source, options)
    count = _frame_count(image_tensor)
    for index in range(count):
        image_tensor.seek(index)
        again = _open(data, kind) if options.allow_truncated else image_tensor
        deep_png = data if kind == "PNG" and data[24:25] == b"\x10" else None
        image_np = _convert(image_tensor, again, source, options, deep_png)
        if count > 1:
            image_np.notes.update(frames=count, frame=index)
        yield image_np


def convert(image: Image.Image, source: str, options: ReadOptions) -> LoadedImage:
    """Turn an open Pillow image (its current frame) into an image; errors as `pillow_frames`.

    Args:
        image: any mode that has colors.
        source: the image's name.
        options: how to read it.
    """
    return _convert(image, image, source, options)


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
    check_size(*image.size, source, options)
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


def check_size(width: int, height: int, source: str, options: ReadOptions) -> None:
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
    flat = values
    if values.dtype != np.uint8:
        flat, notes["depth"] = to_uint8(values, options.value_range, source)
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
        unlimited: switch its pixel limit off, where `check_size` has passed the image.
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


def to_pixels(image: Tensor) -> np.ndarray:
    """Turn an image (3, H, W) in [0, 1] into (H, W, 3) uint8."""
    return (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()


def require_rgb(image: np.ndarray) -> None:
    """Refuse an array that is no image.

    Raises:
        InputError: it is not (H, W, 3) uint8, or it is empty.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f"image of shape {image.shape} and dtype {image.dtype}",
            expected="(H, W, 3) uint8 RGB",
        )
    if not image.size:
        raise InputError(f"empty image of shape {image.shape}")
