"""Noise fields, color ramps and curves: what every texture of the synthetic world is made of.

All arithmetic is on integers or on float64 with a final rounding, so that the same seed gives
the same bytes on every machine. A texture is usually a field of 8-bit indices looked up in a
ramp of colors, which is also the fastest way to paint one.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

__all__ = [
    "RGB",
    "blend_layer",
    "curve",
    "lighten",
    "weighted_mean",
    "noise",
    "paint_ramp",
    "recede",
    "relief",
]

RGB = tuple[int, int, int]

_SMOOTH_FROM = 10.0  # cells wider than this show the kinks of linear interpolation


def noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell: tuple[float, float] | float,
    *,
    facets: bool = False,
) -> np.ndarray:
    """Smooth random field.

    Args:
        rng: source of randomness.
        height: rows in pixels.
        width: columns in pixels.
        cell: distance of neighboring random values in pixels, one number or (down, across).
        facets: leave the kinks between cells, as on cut stone.

    Returns:
        (height, width) uint8, values spread over 0 to 255.
    """
    down, across = cell if isinstance(cell, tuple) else (cell, cell)
    rows = max(2, int(height / max(down, 1.0)) + 1)
    columns = max(2, int(width / max(across, 1.0)) + 1)
    grid: np.ndarray = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
    if min(down, across) >= _SMOOTH_FROM and not facets:
        grid = cv2.resize(grid, (columns * 4, rows * 4), interpolation=cv2.INTER_LINEAR_EXACT)
        grid = cv2.GaussianBlur(grid, (5, 5), 0)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)


def weighted_mean(*weighted: tuple[int, np.ndarray]) -> np.ndarray:
    """Weighted mean of uint8 fields (weights are small integers, sum at most 256).

    Example:
        >>> weighted_mean((3, np.uint8([100])), (1, np.uint8([200])))
        array([125], dtype=uint8)
    """
    total = sum(weight for weight, _ in weighted)
    shares = [(weight * 256 // total, field) for weight, field in weighted]
    rest = 256 - sum(share for share, _ in shares)
    result: np.ndarray | np.uint16 = np.uint16(128 + rest * 127)
    for share, field in shares:
        result = result + field * np.uint16(share)
    return np.asarray(result >> 8).astype(np.uint8)


def relief(field: np.ndarray, step: int, gain: int) -> np.ndarray:
    """Light falling from the upper left on a height field: 128 is level ground.

    Args:
        field: (H, W) uint8 heights.
        step: distance in pixels over which the slope is taken.
        gain: steepness; higher is harsher.

    Returns:
        (H, W) uint8.
    """
    step = max(1, min(step, min(field.shape) - 1))
    padded = cv2.copyMakeBorder(field, step, 0, step, 0, cv2.BORDER_REPLICATE)
    slope = field.astype(np.int16) - padded[: field.shape[0], : field.shape[1]]
    return np.clip(slope * np.int16(gain) // 4 + 128, 0, 255).astype(np.uint8)


def paint_ramp(index: np.ndarray, stops: np.ndarray | Sequence[np.ndarray | RGB]) -> np.ndarray:
    """Colors for a field of indices, interpolated between evenly spaced stops.

    Args:
        index: (H, W) uint8.
        stops: two or more RGB colors (N, 3), for index 0 up to index 255.

    Returns:
        (H, W, 3) uint8.
    """
    places = np.linspace(0.0, 255.0, len(stops))
    channels = np.asarray(stops, dtype=np.float64)
    at = np.arange(256, dtype=np.float64)
    table = np.stack([np.interp(at, places, channels[:, i]) for i in range(3)], axis=-1)
    table = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    return cv2.LUT(cv2.merge([index] * 3), table.reshape(1, 256, 3))


def blend_layer(under: np.ndarray, over: np.ndarray | RGB, weight: np.ndarray) -> np.ndarray:
    """`over` laid on `under` with a uint8 weight of the same rows and columns (0 keeps `under`)."""
    share = weight.astype(np.uint16)[..., None]
    share = share + (share >> 7)
    above = np.asarray(over, dtype=np.uint16)
    return ((under * (256 - share) + above * share) >> 8).astype(np.uint8)


def lighten(image: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Multiply an image by a field of gains, where 128 means 1."""
    bright = image * gain.astype(np.uint16)[..., None]
    return np.minimum(bright >> 7, 255).astype(np.uint8)


def curve(
    rng: np.random.Generator, width: int, middle: float, swing: float, cell: float
) -> np.ndarray:
    """A wandering line: one float64 value a column, around `middle` by at most `swing`."""
    knots = max(2, int(width / max(cell, 1.0)) + 2)
    heights = rng.uniform(-1.0, 1.0, knots)
    at = np.arange(width) * ((knots - 1) / max(width - 1, 1))
    left = np.minimum(at.astype(np.int64), knots - 2)
    share = at - left
    share = share * share * (3.0 - 2.0 * share)
    return middle + swing * (heights[left] * (1.0 - share) + heights[left + 1] * share)


def recede(height: int, nearness: float) -> np.ndarray:
    """Row numbers that squeeze the far (upper) rows of a texture together.

    Args:
        height: rows of the painted area and of the texture.
        nearness: above 0; small is a steep view into the distance, 3 is nearly frontal.

    Returns:
        (height,) int64 in 0 to height - 1, rising.
    """
    rows = np.arange(height, dtype=np.float64)
    far = rows * (1.0 + nearness) / (rows + nearness * height)
    return np.minimum((far * height).astype(np.int64), height - 1)
