"""TIFF files that Pillow would flatten or refuse: deep colour and many bands.

Pillow reads any compression of single-band TIFFs at full depth, but colour only at 8 bits. A
small header is therefore put behind the untouched data which calls the samples of a pixel
neighbouring gray pixels; Pillow decodes those and the array is reshaped.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image, TiffImagePlugin

from ovseg.errors import InputError, RuntimeLimitError
from ovseg.pictures.frame import pillow_settings

__all__ = ["directories", "needs_all_bands", "read_bands"]

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 317, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, ORIENTATION = 338, 339, 274

_JPEG_COMPRESSIONS = (6, 7)
_DTYPES = {
    (1, 8): np.uint8,
    (1, 16): np.uint16,
    (2, 16): np.int16,
    (3, 32): np.float32,
}

Tags = Mapping[int, object]


def directories(data: bytes) -> Iterator[TiffImagePlugin.ImageFileDirectory_v2]:
    """The tags of every page, in order; a chain that bites its tail ends there."""
    file = io.BytesIO(data)
    header = file.read(16 if data[2:3] == b"+" or data[3:4] == b"+" else 8)
    position = TiffImagePlugin.ImageFileDirectory_v2(header).next
    seen: set[int] = set()
    while position and position not in seen:
        seen.add(position)
        file.seek(position)
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        tags.load(file)
        yield tags
        position = tags.next


def needs_all_bands(tags: Tags) -> bool:
    """Whether Pillow would lose depth or bands of a page with these tags, or refuse it."""
    bands, bits = _bands(tags), max(_values(tags, BITS, (1,)))
    photometric, planar = _first(tags, PHOTOMETRIC, 1), _first(tags, PLANAR, 1) == 2
    if bands == 1:
        return photometric == 0 and bits == 16  # Pillow gives these as a negative
    refused = (photometric in (0, 1) and bands > 2) or (planar and bands in (2, 4))
    packed = _first(tags, COMPRESSION, 1) in _JPEG_COMPRESSIONS
    return bands > 4 or bits > 8 or (refused and not packed)


def read_bands(data: bytes, tags: Tags, source: str, chosen: tuple[int, ...] | None) -> np.ndarray:
    """Decode the bands of one page at full depth.

    Args:
        data: the whole file.
        tags: one of its `directories`.
        source: the picture's name, for messages.
        chosen: band numbers from 0, or None for all of them.

    Returns:
        (H, W, bands) array of the stored type.

    Raises:
        InputError: the layout is not supported or a chosen band is not there.
    """
    bands = _bands(tags)
    dtype = _dtype(tags, source)
    wanted = tuple(range(bands)) if chosen is None else chosen
    if max(wanted) >= bands:
        raise InputError(
            f"band {max(wanted)} is not there",
            where=source,
            expected=f"band numbers 0..{bands - 1}",
            fix="choose other --bands",
        )
    if _first(tags, PLANAR, 1) == 2:
        return np.stack([_decode(data, tags, 1, dtype, plane)[..., 0] for plane in wanted], axis=-1)
    return _decode(data, tags, bands, dtype)[..., list(wanted)]


def _decode(data: bytes, tags: Tags, bands: int, dtype: type, plane: int = 0) -> np.ndarray:
    """Decode `bands` interleaved samples a pixel, from the strips or tiles of one plane."""
    width, height = _first(tags, WIDTH), _first(tags, HEIGHT)
    gray = Image.OPEN["TIFF"][0](io.BytesIO(_as_gray(data, tags, bands, plane)), "")
    with pillow_settings(unlimited=True, lenient=False):
        values = np.asarray(gray).astype(dtype, copy=False)
    values = values.reshape(height, width, bands)
    if _first(tags, PREDICTOR, 1) == 2:
        values = _undo_differences(values, _first(tags, TILE_WIDTH, width))
    return values


def _as_gray(data: bytes, tags: Tags, bands: int, plane: int) -> bytes:
    """The same file under a new directory that describes one wide gray picture."""
    tiled = TILE_OFFSETS in tags
    offsets = _values(tags, TILE_OFFSETS if tiled else STRIP_OFFSETS)
    counts = _values(tags, TILE_COUNTS if tiled else STRIP_COUNTS)
    height = _first(tags, HEIGHT)
    if tiled:
        tile_width, tile_height = _first(tags, TILE_WIDTH), _first(tags, TILE_HEIGHT)
        pieces = -(-_first(tags, WIDTH) // tile_width) * -(-height // tile_height)
        shape = {TILE_WIDTH: [tile_width * bands], TILE_HEIGHT: [tile_height]}
    else:
        rows = min(_first(tags, ROWS_PER_STRIP, height), height)
        pieces = -(-height // rows)
        shape = {ROWS_PER_STRIP: [rows]}
    part = slice(plane * pieces, (plane + 1) * pieces)
    entries = {
        WIDTH: [_first(tags, WIDTH) * bands],
        HEIGHT: [height],
        BITS: [_first(tags, BITS)],
        COMPRESSION: [_first(tags, COMPRESSION, 1)],
        PHOTOMETRIC: [1],
        FILL_ORDER: [_first(tags, FILL_ORDER, 1)],
        SAMPLES: [1],
        SAMPLE_FORMAT: [_first(tags, SAMPLE_FORMAT, 1)],
        TILE_OFFSETS if tiled else STRIP_OFFSETS: offsets[part],
        TILE_COUNTS if tiled else STRIP_COUNTS: counts[part],
        **shape,
    }
    return _with_directory(data, entries)


def _with_directory(data: bytes, entries: Mapping[int, list[int] | tuple[int, ...]]) -> bytes:
    """Append a classic TIFF directory of LONG values to `data` and let the header point to it."""
    end = "<" if data[:2] == b"II" else ">"
    start = len(data) + len(data) % 2
    beyond = start + 2 + 12 * len(entries) + 4
    if beyond >= 2**32:
        raise RuntimeLimitError(
            "a deep TIFF above 4 GiB", expected="less", fix="split it or convert it to 8 bits"
        )
    table, long_values = struct.pack(f"{end}H", len(entries)), b""
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"{end}{len(values)}L", *values)
        if len(packed) > 4:
            long_values, packed = (
                long_values + packed,
                struct.pack(f"{end}L", beyond + len(long_values)),
            )
        table += struct.pack(f"{end}HHL", tag, 4, len(values)) + packed
    header = data[:2] + struct.pack(f"{end}HL", 42, start)
    padding = b"\0" * (start - len(data))
    return header + data[8:] + padding + table + b"\0\0\0\0" + long_values


def _undo_differences(values: np.ndarray, piece_width: int) -> np.ndarray:
    """Sum up the horizontal differences of each strip or tile (TIFF 6.0, section 14)."""
    whole = np.empty_like(values)
    for left in range(0, values.shape[1], piece_width):
        piece = values[:, left : left + piece_width]
        np.cumsum(piece, axis=1, dtype=values.dtype, out=whole[:, left : left + piece_width])
    return whole


def _dtype(tags: Tags, source: str) -> type:
    bits, formats = set(_values(tags, BITS, (1,))), set(_values(tags, SAMPLE_FORMAT, (1,)))
    dtype = _DTYPES.get((min(formats), min(bits))) if len(bits) == len(formats) == 1 else None
    packed = _first(tags, COMPRESSION, 1) in _JPEG_COMPRESSIONS
    if dtype is None or packed or _first(tags, PREDICTOR, 1) == 3:
        raise InputError(
            "TIFF with a sample layout that is not supported (bits "
            f"{sorted(bits)}, format {sorted(formats)}, compression "
            f"{_first(tags, COMPRESSION, 1)}, predictor {_first(tags, PREDICTOR, 1)})",
            where=source,
            expected="8-bit, 16-bit or 32-bit float samples, without JPEG or float predictor",
            fix="save it again as 16-bit or 8-bit TIFF, or as PNG",
        )
    return dtype


def _bands(tags: Tags) -> int:
    return _first(tags, SAMPLES, 1)


def _values(tags: Tags, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return value if isinstance(value, tuple) else (value,)


def _first(tags: Tags, tag: int, default: int = 0) -> int:
    return (_values(tags, tag, (default,)) or (default,))[0]
