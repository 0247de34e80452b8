"""What kind of file some bytes are, told from their first bytes and not from a name."""

from __future__ import annotations

import codecs
import importlib
import importlib.util

from PIL import Image, features

from ovseg.errors import InputError

__all__ = ["identify"]

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
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, name in _NOT_IMAGES:
        if data.startswith(magic):
            return name
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if head.startswith((b"<svg", b"<?xml")):
        return "XML or SVG text"
    if data[4:8] == b"ftyp":
        return "a film"
    return "text" if _is_text(data[:64]) else "unknown data"


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r\n" for c in text)
