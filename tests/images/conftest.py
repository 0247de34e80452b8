"""A small TIFF writer: any bands, types and layouts, which no library here writes."""

from __future__ import annotations

import struct

import numpy as np
import pytest


def _tiff(
    pixels,
    *,
    planar=False,
    orientation=1,
    photometric=None,
    alpha=False,
    predictor=False,
    big_endian=False,
    tile=None,
    pages=1,
):
    """Bytes of an uncompressed TIFF of an (H, W) or (H, W, bands) array."""
    end = ">" if big_endian else "<"
    height, width = pixels.shape[:2]
    bands = 1 if pixels.ndim == 2 else pixels.shape[2]
    values = pixels.reshape(height, width, bands)
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    planes = [values[..., b : b + 1] for b in range(bands)] if planar else [values]
    pieces = []
    for plane in planes:
        pieces += _pieces(plane, tile, predictor)
    data = [p.astype(p.dtype.newbyteorder(end)).tobytes() for p in pieces]
    default = 2 if bands >= 3 else 1
    out = struct.pack(f"{end}2sHI", b"MM" if big_endian else b"II", 42, 0)
    starts = [len(out) + sum(map(len, data[:i])) for i in range(len(data))]
    out += b"".join(data)
    tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [pixels.dtype.itemsize * 8] * bands),
        259: (3, [1]),
        262: (3, [default if photometric is None else photometric]),
        274: (3, [orientation]),
        277: (3, [bands]),
        284: (3, [2 if planar else 1]),
        317: (3, [2 if predictor else 1]),
        339: (3, [kind] * bands),
    }
    colors = 1 if tags[262][1][0] in (0, 1) else 4 if tags[262][1][0] == 5 else 3
    if bands > colors:
        tags[338] = (3, [2 if alpha else 0] * (bands - colors))
    if tile:
        tags |= {322: (4, [tile]), 323: (4, [tile])}
        tags |= {324: (4, starts), 325: (4, [len(d) for d in data])}
    else:
        tags |= {278: (4, [height]), 273: (4, starts), 279: (4, [len(d) for d in data])}
    pointer = 4
    for _ in range(pages):
        out += b"\0" * (len(out) % 2)
        out = out[:pointer] + struct.pack(f"{end}I", len(out)) + out[pointer + 4 :]
        table, pointer = _directory(tags, len(out), end)
        out += table
    return out


def _pieces(plane, tile, predictor):
    height, width, _ = plane.shape
    tile_rows, tile_columns = (tile, tile) if tile else (height, width)
    for top in range(0, height, tile_rows):
        for left in range(0, width, tile_columns):
            piece = plane[top : top + tile_rows, left : left + tile_columns]
            missing = (0, tile_rows - piece.shape[0]), (0, tile_columns - piece.shape[1]), (0, 0)
            piece = np.pad(piece, missing)
            if predictor:
                piece = np.diff(piece, axis=1, prepend=np.zeros_like(piece[:, :1]))
            yield piece


def _directory(tags, start, end):
    table, more = struct.pack(f"{end}H", len(tags)), b""
    beyond = start + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{end}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            packed, more = struct.pack(f"{end}I", beyond + len(more)), more + packed
        table += struct.pack(f"{end}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    return table + b"\0\0\0\0" + more, start + len(table)


@pytest.fixture(scope="session")
def make_tiff():
    return _tiff
