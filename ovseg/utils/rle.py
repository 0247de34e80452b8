"""COCO's compressed run-length code of masks, for all classes of a label map in one pass.

A mask is read column by column as runs of zeros and ones, starting with zeros. Each run after
the third is written as its difference from the run two before it, in groups of 5 bits with a
sign-carrying stop bit, shifted into printable characters (cocoapi, `maskApi.c`, `rleToString`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["RleMask", "compress", "regions"]


class RleMask(NamedTuple):
    """All pixels of one label.

    Attributes:
        label: the value in the label map.
        area: number of pixels.
        bbox: left, top, width, height in pixels.
        counts: the compressed run lengths.
    """

    label: int
    area: int
    bbox: tuple[int, int, int, int]
    counts: str


def regions(labels: np.ndarray) -> Iterator[RleMask]:
    """Encode every value of a label map, in ascending order.

    Args:
        labels: (H, W) integers.

    Yields:
        One region a value that occurs.

    Example:
        >>> [r.counts for r in regions(np.array([[0, 1], [0, 1]]))]
        ['022', '22']
    """
    height = labels.shape[0]
    flat = labels.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(np.concatenate([starts, [flat.size]]))
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    cuts = np.flatnonzero(np.diff(values[order])) + 1
    for group in np.split(order, cuts):
        first, length = starts[group], lengths[group]
        yield RleMask(
            int(values[group[0]]),
            int(length.sum()),
            _box(first, length, height),
            compress(_run_lengths(first, length, flat.size)),
        )


def compress(runs: np.ndarray) -> str:
    """Write run lengths in COCO's compressed form.

    Args:
        runs: lengths of alternating runs of zeros and ones.

    Returns:
        ASCII text.

    Example:
        >>> compress(np.array([6, 1, 40, 4, 5, 4]))
        '61X13mN0'
    """
    deltas = runs.astype(np.int64)
    deltas[3:] -= runs[1:-2]
    groups: list[np.ndarray] = []
    rest, open_ = deltas, np.ones(deltas.size, bool)
    while open_.any():
        bits = rest & 31
        rest = rest >> 5
        more = np.where(bits & 16, rest != -1, rest != 0)
        groups.append(np.where(open_, bits + 32 * more + 48, 0))
        open_ = open_ & more
    table = np.stack(groups, axis=1).astype(np.uint8)
    return table[table > 0].tobytes().decode("ascii")


def _run_lengths(starts: np.ndarray, lengths: np.ndarray, total: int) -> np.ndarray:
    edges = np.stack([starts, starts + lengths], axis=1).ravel()
    runs = np.diff(np.concatenate([[0], edges, [total]]))
    return runs[:-1] if runs[-1] == 0 else runs


def _box(starts: np.ndarray, lengths: np.ndarray, height: int) -> tuple[int, int, int, int]:
    last = starts + lengths - 1
    left, right = int(starts.min()) // height, int(last.max()) // height
    wraps = starts // height != last // height
    top = 0 if wraps.any() else int((starts % height).min())
    bottom = height - 1 if wraps.any() else int((last % height).max())
    return left, top, right - left + 1, bottom - top + 1
