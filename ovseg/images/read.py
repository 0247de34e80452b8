"""The one reader of images: every part of ovseg that takes an image goes through it."""

from __future__ import annotations

import codecs
import importlib.util
import itertools
import os
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, features

from ovseg.errors import InputError, OvsegError, RuntimeLimitError
from ovseg.images import tiff
from ovseg.images.arrays import from_array
from ovseg.images.decode import convert, pillow_frames
from ovseg.images.options import LoadedImage, ReadOptions

__all__ = ["ImageSource", "identify", "read_frames", "read_image", "refuse_address"]

ImageSource = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | LoadedImage

_DEFAULTS = ReadOptions()
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_HEAD = 64
"""Bytes that tell what kind of file it is."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cJXL ", "JXL"),
    (b"\xff\x0a", "JXL"),
)
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"mif1", b"msf1"), "HEIF"),
}
_PLUGINS = {
    "AVIF": ("pillow_avif", "pillow-avif-plugin"),
    "HEIF": ("pillow_heif", "pillow-heif"),
    "JXL": ("pillow_jxl", "pillow-jxl-plugin"),
}
_NOT_IMAGES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a Git LFS pointer"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"8BPS", "a Photoshop document"),
    (b"\x1aE\xdf\xa3", "a Matroska film"),
)


def read_image(source: ImageSource, options: ReadOptions | None = None) -> LoadedImage:
    """Read one image: the first frame of a file with several.

    Args:
        source: a path, the bytes of a file, a PIL image or an (H, W, 3) uint8 RGB array. An
            `LoadedImage` comes back as it is.
        options: how to read it; None for the defaults.

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


def read_frames(source: ImageSource, options: ReadOptions | None = None) -> Iterator[LoadedImage]:
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
    options = options or _DEFAULTS
    if isinstance(source, LoadedImage):
        yield source
    elif isinstance(source, Image.Image):
        name = getattr(source, "filename", "") or "<image>"
        with _explained(name, options):
            image = convert(source, name, options)
        yield image
    elif isinstance(source, np.ndarray):
        yield from_array(source, options)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        yield from _decode(data, identify(data, "<bytes>"), "<bytes>", options)
    elif isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        yield from _decode(*_read_file(name), name, options)
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


def identify(data: bytes, source: str) -> str:
    """Tell the format of an image file and make sure that it can be opened.

    Only well-kept raster formats are on the list: Pillow would also hand some formats to
    outside programs (EPS to Ghostscript), which must not happen to somebody's upload.

    Args:
        data: the file's bytes, or its first 64.
        source: the image's name, for messages.

    Returns:
        The format's name in Pillow's table.

    Raises:
        InputError: no image, or one that needs a plugin which is not installed.
    """
    if not data:
        raise InputError("empty file", where=source, fix="copy or download it again")
    kind = _image_kind(data)
    if kind is None:
        raise InputError(
            f"not an image (detected {_describe(data)})",
            where=source,
            expected="JPEG, PNG, TIFF, WebP, GIF, BMP, PNM, JPEG 2000, AVIF, HEIC or JPEG XL",
            fix="convert it to PNG or JPEG",
        )
    if not _can_open(kind):
        name = {"HEIF": "HEIC", "JXL": "JPEG XL"}.get(kind, kind)
        package = _PLUGINS[kind][1] if kind in _PLUGINS else "pillow built with it"
        raise InputError(
            f"{name} images need a plugin that is not installed",
            where=source,
            fix=f"pip install {package}, or convert the image to PNG or JPEG",
        )
    return kind


def _image_kind(data: bytes) -> str | None:
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:1] == b"P" and data[1:2] in b"123456fF" and data[2:3] in (b"\n", b" ", b"\t", b"\r"):
        return "PPM"
    if data[4:8] == b"ftyp":
        brands = [data[8:12], *(data[i : i + 4] for i in range(16, 48, 4))]
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    return None


def _can_open(kind: str) -> bool:
    """Whether Pillow opens `kind`, after loading the plugin for it where there is one."""
    Image.init()
    if kind in Image.OPEN and (kind != "AVIF" or features.check("avif")):
        return True
    module = _PLUGINS.get(kind, ("",))[0]
    if not module or importlib.util.find_spec(module) is None:
        return False
    plugin = importlib.import_module(module)
    if kind == "HEIF":
        plugin.register_heif_opener()
    return kind in Image.OPEN


def _describe(data: bytes) -> str:
    head = data[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, name in _NOT_IMAGES:
        if data.startswith(magic):
            return name
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if head.startswith((b"<svg", b"<?xml")):
        return "XML or SVG text"
    if data[4:8] == b"ftyp":
        return "a film"
    return "text" if _is_text(data[:_HEAD]) else "unknown data"


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r\n" for c in text)


def _decode(data: bytes, kind: str, source: str, options: ReadOptions) -> Iterator[LoadedImage]:
    """Decode the frames of a file one after the other; whatever a decoder raises becomes ours."""
    frames = _frames(data, kind, source, options)
    for index in itertools.count():
        with _explained(f"{source} (frame {index})" if index else source, options):
            image = next(frames, None)
        if image is None:
            return
        yield image


def _frames(data: bytes, kind: str, source: str, options: ReadOptions) -> Iterator[LoadedImage]:
    if kind == "TIFF":
        first = next(tiff.directories(data), None)
        if first is not None and (options.bands or tiff.is_deep(first)):
            yield from tiff.deep_pages(data, source, options)
            return
    yield from pillow_frames(data, kind, source, options)


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


def _read_file(name: str) -> tuple[bytes, str]:
    """The bytes of a file and its format, which shows before the whole of it is read."""
    refuse_address(name)
    try:
        if not name or "\0" in name:
            raise FileNotFoundError
        with open(name, "rb", opener=_open_without_waiting) as file:
            _require_file(os.fstat(file.fileno()).st_mode, name)
            head = file.read(_HEAD)
            kind = identify(head, name)
            return head + file.read(), kind
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
