"""TIFF files that Pillow would flatten or refuse: deep color and many bands.

Pillow reads a single band at any depth and compression, but color only at 8 bits. OpenCV is no
way out: it mixes up deep planes and drops or refuses bands that are neither gray nor RGB(A). So
a small directory is put behind the untouched data that calls the samples of a pixel neighboring
gray pixels; Pillow decodes those and the array is reshaped.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import Base as Tag
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory

from ovseg.errors import InputError, RuntimeLimitError
from ovseg.images.decode import check_size, finish, pillow_settings
from ovseg.images.depth import to_uint8
from ovseg.images.options import LoadedImage, ReadOptions

__all__ = ["deep_pages", "directories", "is_deep"]

Tags = Mapping[int, Any]

_JPEG = (6, 7)
_DTYPES = {(1, 8): np.uint8, (1, 16): np.uint16, (2, 16): np.int16, (3, 32): np.float32}
_COLORS = {0: 1, 1: 1, 2: 3, 5: 4}
"""Bands of each photometric kind: gray from white or from black, RGB, CMYK."""
_ALPHA = (1, 2)
"""Values of the tag ExtraSamples that mean opacity."""
_CHOOSE = "choose three of them, or one for gray (--bands 2,1,0 counts from 0)"


def directories(data: bytes) -> Iterator[Directory]:
    """The tags of every page, in order; a chain that bites its tail ends there."""
    file = io.BytesIO(data)
    header = file.read(16 if b"+" in data[2:4] else 8)
    position = Directory(header).next
    seen: set[int] = set()
    while position and position not in seen:
        seen.add(position)
        file.seek(position)
        tags = Directory(header)
        tags.load(file)
        yield tags
        position = tags.next


def is_deep(tags: Tags) -> bool:
    """Whether Pillow would lose depth or bands of a page with these tags, or refuse it."""
    bands, bits = _first(tags, Tag.SamplesPerPixel), max(_all(tags, Tag.BitsPerSample))
    photometric = _first(tags, Tag.PhotometricInterpretation)
    planar = _first(tags, Tag.PlanarConfiguration) == 2
    if bands == 1:  # Pillow gives white as 0 for a negative and garbles a single deep plane
        return bits > 8 and (planar or (photometric == 0 and bits == 16))
    refused = (photometric in (0, 1) and bands > 2) or (planar and bands in (2, 4))
    return bands > 4 or bits > 8 or (refused and _first(tags, Tag.Compression) not in _JPEG)


def deep_pages(data: bytes, source: str, options: ReadOptions) -> Iterator[LoadedImage]:
    """Decode the pages of a TIFF at full depth, with the bands that are wanted.

    Args:
        data: the whole file.
        source: the image's name.
        options: how to read it.

    Yields:
        One image a page.

    Raises:
        InputError: more than four bands and none chosen, or a layout that is not supported.
        RuntimeLimitError: more pixels than allowed.
    """
    pages = list(directories(data))
    for index, tags in enumerate(pages):
        _check_size(tags, source, options)
        _check_bands(tags, source, options.bands)
        notes: dict[str, Any] = {}
        values = _read_bands(data, tags, options.bands)
        if options.bands is None:
            values = _to_colors(values, tags, source, options, notes)
        if len(pages) > 1:
            notes.update(frames=len(pages), frame=index)
        yield finish(values, _first(tags, Tag.Orientation), source, options, notes)


def _check_size(tags: Tags, source: str, options: ReadOptions) -> None:
    """Many bands must not get around the pixel limit: at most 16 a pixel of the largest image."""
    width, height = _first(tags, Tag.ImageWidth, 0), _first(tags, Tag.ImageLength, 0)
    check_size(width, height, source, options)
    samples, most = width * height * _first(tags, Tag.SamplesPerPixel), 16 * options.max_pixels
    if samples > most:
        raise RuntimeLimitError(
            f"{samples:,} samples in all bands",
            where=source,
            expected=f"at most {most:,}",
            fix="raise --max-pixels if you trust the file, or store fewer bands",
        )


def _check_bands(tags: Tags, source: str, chosen: tuple[int, ...] | None) -> None:
    """Refuse bands that are not there and layouts that cannot be decoded."""
    bands, compression = _first(tags, Tag.SamplesPerPixel), _first(tags, Tag.Compression)
    if chosen is None and bands > 4:
        raise InputError(f"{bands} bands", where=source, expected="at most 4", fix=_CHOOSE)
    if chosen is not None and max(chosen) >= bands:
        raise InputError(
            f"band {max(chosen)} is not there",
            where=source,
            expected=f"band numbers 0..{bands - 1}",
            fix="choose other --bands",
        )
    kinds, predictor = _sample_kinds(tags), _first(tags, Tag.Predictor)
    if len(kinds) > 1 or kinds[0] not in _DTYPES or compression in _JPEG or predictor == 3:
        raise InputError(
            f"TIFF with a sample layout that is not supported ((format, bits) {kinds}, "
            f"compression {compression}, predictor {predictor})",
            where=source,
            expected="8-bit, 16-bit or 32-bit float samples, without JPEG or float predictor",
            fix="save it again as 16-bit or 8-bit TIFF, or as PNG",
        )


def _read_bands(data: bytes, tags: Tags, chosen: tuple[int, ...] | None) -> np.ndarray:
    """(H, W, bands) samples of the stored type."""
    bands = _first(tags, Tag.SamplesPerPixel)
    wanted = list(range(bands) if chosen is None else chosen)
    if _first(tags, Tag.PlanarConfiguration) == 2:
        return np.concatenate([_decode(data, tags, 1, band) for band in wanted], axis=2)
    return _decode(data, tags, bands)[..., wanted]


def _decode(data: bytes, tags: Tags, bands: int, plane: int = 0) -> np.ndarray:
    """`bands` interleaved samples a pixel, decoded as a gray image `bands` times as wide."""
    (kind, bits), width = _sample_kinds(tags)[0], tags[Tag.ImageWidth]
    gray: dict[int, Sequence[int]] = {
        Tag.ImageWidth: (width * bands,),
        Tag.ImageLength: (tags[Tag.ImageLength],),
        Tag.BitsPerSample: (bits,),
        Tag.Compression: (_first(tags, Tag.Compression),),
        Tag.PhotometricInterpretation: (1,),
        Tag.FillOrder: (_first(tags, Tag.FillOrder),),
        Tag.SamplesPerPixel: (1,),
        Tag.SampleFormat: (kind,),
    }
    for tag in (Tag.RowsPerStrip, Tag.TileLength, Tag.TileWidth):
        if tag in tags:
            gray[tag] = (tags[tag] * (bands if tag == Tag.TileWidth else 1),)
    planes = _first(tags, Tag.SamplesPerPixel) // bands
    for tag in (Tag.StripOffsets, Tag.StripByteCounts, Tag.TileOffsets, Tag.TileByteCounts):
        if tag in tags:
            pieces = _all(tags, tag)
            count = len(pieces) // planes
            gray[tag] = pieces[plane * count : (plane + 1) * count]
    image = Image.OPEN["TIFF"][0](io.BytesIO(_with_directory(data, gray)), "")
    with pillow_settings(unlimited=True, lenient=False):
        values = np.asarray(image).astype(_DTYPES[kind, bits], copy=False)
    values = values.reshape(-1, width, bands)
    if _first(tags, Tag.Predictor) == 2:
        values = _undo_differences(values, _first(tags, Tag.TileWidth, width))
    return values


def _with_directory(data: bytes, entries: Mapping[int, Sequence[int]]) -> bytes:
    """Append a classic TIFF directory of LONG values to `data` and let the header point to it."""
    end = "<" if data[:2] == b"II" else ">"
    start = len(data) + len(data) % 2
    beyond = start + 2 + 12 * len(entries) + 4
    if beyond >= 2**32:
        raise RuntimeLimitError(
            "a deep TIFF above 4 GiB", expected="less", fix="split it or convert it to 8 bits"
        )
    table, more = struct.pack(f"{end}H", len(entries)), b""
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"{end}{len(values)}L", *values)
        if len(packed) > 4:
            more, packed = more + packed, struct.pack(f"{end}L", beyond + len(more))
        table += struct.pack(f"{end}HHL", tag, 4, len(values)) + packed
    header = data[:2] + struct.pack(f"{end}HL", 42, start)
    return header + data[8:].ljust(start - 8, b"\0") + table + b"\0\0\0\0" + more


def _undo_differences(values: np.ndarray, piece_width: int) -> np.ndarray:
    """Sum up the horizontal differences of each strip or tile (TIFF 6.0, section 14)."""
    whole = np.empty_like(values)
    for left in range(0, values.shape[1], piece_width):
        piece = slice(left, left + piece_width)
        np.cumsum(values[:, piece], axis=1, dtype=values.dtype, out=whole[:, piece])
    return whole


def _to_colors(
    values: np.ndarray, tags: Tags, source: str, options: ReadOptions, notes: dict[str, Any]
) -> np.ndarray:
    """RGB, RGBA or gray from all the samples of a page; in 8 bits where colors are converted."""
    photometric, bands = _first(tags, Tag.PhotometricInterpretation), values.shape[2]
    colors = _COLORS.get(photometric, bands + 1)
    if bands not in (colors, colors + (photometric != 5)):
        raise InputError(
            f"{bands} bands whose colors are not known (TIFF photometric {photometric})",
            where=source,
            fix=_CHOOSE,
        )
    if bands > colors and _first(tags, Tag.ExtraSamples, 0) not in _ALPHA:
        values, bands = values[..., :colors], colors
    if photometric in (0, 5):
        values, rule = to_uint8(values, options.value_range, source)
        notes.update({} if rule is None else {"depth": rule})
        if photometric == 5:
            return np.asarray(Image.fromarray(values, "CMYK").convert("RGB"))
        values = np.concatenate([255 - values[..., :1], values[..., 1:]], axis=2)
    return values[..., [0, 0, 0, 1]] if bands == 2 else values


def _sample_kinds(tags: Tags) -> list[tuple[int, int]]:
    """The different (sample format, bits) of the bands."""
    formats, bits = set(_all(tags, Tag.SampleFormat)), set(_all(tags, Tag.BitsPerSample))
    return sorted((kind, depth) for kind in formats for depth in bits)


def _all(tags: Tags, tag: int, default: int = 1) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return value if isinstance(value, tuple) else (value,)


def _first(tags: Tags, tag: int, default: int = 1) -> int:
    """The (first) value of a tag; where TIFF 6.0 has a default for one used here, it is 1."""
    return (_all(tags, tag, default) or (default,))[0]
