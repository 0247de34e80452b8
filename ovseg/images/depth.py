"""From stored values of any depth to 8 bits, by rules that never look at an image's content.

A dark 16-bit image must come out as dark as its neighbors, so the scale follows from the
data type alone; only floating point values, which carry no scale, are tested for their range.
"""

from __future__ import annotations

import numpy as np

from ovseg.errors import InputError

__all__ = ["to_uint8"]


def to_uint8(
    values: np.ndarray, value_range: tuple[float, float] | None, where: str
) -> tuple[np.ndarray, str | None]:
    """Bring an array of values to uint8.

    uint8 stays, uint16 is divided by 257 (65535 becomes 255), bool becomes 0 and 255. Floating
    point values must all lie in [0, 1], or else all in [0, 255]. Everything deeper than 8 bits
    can be scaled by `value_range` instead, which other types need.

    Args:
        values: numeric array of any shape.
        value_range: the values that become 0 and 255, or None for the rule of the dtype.
        where: the image's name, for messages.

    Returns:
        The uint8 array of the same shape, and the rule that was used (None for uint8).

    Raises:
        InputError: the values are not finite or the dtype needs a `value_range`.

    Example:
        >>> to_uint8(np.array([0, 257, 65535], np.uint16), None, "a.png")[0].tolist()
        [0, 1, 255]
        >>> to_uint8(np.array([0, 2048, 4095], np.uint16), (0, 4095), "a.png")[0].tolist()
        [0, 128, 255]
    """
    if values.dtype == np.uint8:
        return values, None
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * 255, "1-bit"
    if values.dtype.kind == "f":
        _require_finite(values, where)
    if value_range is not None:
        low, high = value_range
        return _scale(values, low, high), f"{values.dtype} {low:g}..{high:g}"
    if values.dtype == np.uint16:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8), "uint16 / 257"
    if values.dtype.kind == "f":
        return _float_rule(values, where)
    raise InputError(
        f"values of type {values.dtype} have no fixed scale",
        where=where,
        expected="8-bit or unsigned 16-bit values",
        fix="give the range of the values (--value-range LOW:HIGH)",
    )


def _float_rule(values: np.ndarray, where: str) -> tuple[np.ndarray, str]:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if low >= 0 and high <= 1:
        return _scale(values, 0, 1), f"{values.dtype} 0..1"
    if low >= 0 and high <= 255:
        return _scale(values, 0, 255), f"{values.dtype} 0..255"
    raise InputError(
        f"floating point values lie in {low:g}..{high:g}",
        where=where,
        expected="all in [0, 1] or all in [0, 255]",
        fix="give the range of the values (--value-range LOW:HIGH)",
    )


def _scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    wide = np.float32 if values.dtype.itemsize <= 2 else np.float64
    scaled = np.clip(values, low, high).astype(wide)
    scaled -= low
    scaled *= 255.0 / (high - low)
    found: np.ndarray = (scaled + 0.5).astype(np.uint8)
    return found


def _require_finite(values: np.ndarray, where: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        first = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), values.shape))
        raise InputError(
            f"value {values[first]} at index {first}",
            where=where,
            expected="finite values",
            fix="replace NaN and Inf before reading",
        )
