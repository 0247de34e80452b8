"""The one reader of images: every part of ovseg that takes an image goes through it."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ovseg.errors import InputError
from ovseg.images.arrays import from_array
from ovseg.images.decode import convert, decode_file
from ovseg.images.options import LoadedImage, ReadOptions
from ovseg.images.sniff import identify

__all__ = ["ImageSource", "read_frames", "read_image", "refuse_address"]

ImageSource = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | LoadedImage

_DEFAULTS = ReadOptions()
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def read_image(source: ImageSource, options: ReadOptions = _DEFAULTS) -> LoadedImage:
    """Read one image: the first frame of a file with several.

    Args:
        source: a path, the bytes of a file, a PIL image or an (H, W, 3) uint8 RGB array. An
            `LoadedImage` comes back as it is.
        options: how to read it.

    Returns:
        The image, upright 8-bit RGB, with notes on what was done to it.

    Raises:
        InputError: it cannot be read as an image.
        RuntimeLimitError: it has more pixels than `options.max_pixels`.

    Example:
        >>> read_image(np.zeros((2, 4, 3), np.uint8)).pixels.shape
        (2, 4, 3)
    """
    return next(read_frames(source, options))


def read_frames(source: ImageSource, options: ReadOptions = _DEFAULTS) -> Iterator[LoadedImage]:
    """Read every frame of an animation or page of a TIFF, one at a time.

    Args:
        source: as for `read_image`.
        options: how to read it.

    Yields:
        One image a frame; `notes["frame"]` counts from 0.

    Raises:
        InputError: it cannot be read as an image.
        RuntimeLimitError: it has more pixels than `options.max_pixels`.
    """
    if isinstance(source, LoadedImage):
        yield source
    elif isinstance(source, Image.Image):
        yield convert(source, getattr(source, "filename", "") or "<image>", options)
    elif isinstance(source, np.ndarray):
        yield from_array(source, options)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield from decode_file(bytes(source), "<bytes>", options)
    elif isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        yield from decode_file(_read_bytes(name), name, options)
    else:
        raise _unknown(source)


def refuse_address(source: str) -> None:
    """Refuse a web address in place of a path.

    Raises:
        InputError: it is one.
    """
    if _ADDRESS.match(source):
        raise InputError(
            "is an address, and images are not fetched",
            where=source,
            expected="a path on this machine",
            fix=f"download it first, for example: curl -O {shlex.quote(source)}",
        )


def _read_bytes(name: str) -> bytes:
    refuse_address(name)
    try:
        if not name or "\0" in name:
            raise FileNotFoundError
        with open(name, "rb", opener=_open_without_waiting) as file:
            _require_file(os.fstat(file.fileno()).st_mode, name)
            head = file.read(64)
            identify(head, name)
            return head + file.read()
    except FileNotFoundError:
        raise InputError(
            "no such file", where=name or "''", expected="an image file", fix="check the path"
        ) from None
    except IsADirectoryError:
        raise _is_folder(name) from None
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})",
            where=name,
            fix="check the permissions and that the file is still there",
        ) from error


def _open_without_waiting(name: str, flags: int) -> int:
    """Open so that a named pipe without a writer does not block for ever."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _require_file(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise _is_folder(name)
    if not stat.S_ISREG(mode):
        raise InputError("not a regular file", where=name, expected="an image file")


def _is_folder(name: str) -> InputError:
    return InputError(
        "is a folder",
        where=name,
        expected="an image file",
        fix=f"give the folder to `ovseg segment {Path(name)}` or list its files",
    )


def _unknown(source: object) -> InputError:
    hint = "give a path, the bytes of a file, a PIL image or an array"
    if hasattr(source, "detach") and hasattr(source, "numpy"):
        hint = "give an array: tensor.permute(1, 2, 0).cpu().numpy(), uint8"
    return InputError(
        f"a {type(source).__name__} is not an image",
        expected="a path, bytes, PIL image or (H, W, 3) uint8 RGB array",
        fix=hint,
    )
