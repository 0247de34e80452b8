"""What can be asked of the image reader, and what it gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ovseg.errors import ConfigError

__all__ = ["LoadedImage", "ReadOptions"]

_OPTIONAL = ("value_range", "bands", "array_layout")


@dataclass(frozen=True)
class ReadOptions:
    """How images are read; the defaults fit nearly all of them.

    Args:
        ignore_exif: keep the stored frame instead of turning the image upright.
        allow_truncated: decode what is there of a cut-off file and note it, instead of raising.
        value_range: (low, high) of the stored values that become 0 and 255. It applies to
            everything deeper than 8 bits, and lets arrays of other dtypes than uint8 in.
        alpha_background: RGB color (0..255) under transparent areas.
        bands: which bands of a TIFF make the image, counted from 0: three, or one for gray.
        max_pixels: largest width x height that is decoded.
        array_layout: "HWC" or "CHW" layout of arrays; None means HWC and refuses shapes that
            could be either.
        array_channels: "RGB" or "BGR" order of the channels of arrays.

    Raises:
        ConfigError: a value is out of its range.
    """

    ignore_exif: bool = False
    allow_truncated: bool = False
    value_range: tuple[float, float] | None = None
    alpha_background: tuple[int, int, int] = (255, 255, 255)
    bands: tuple[int, ...] | None = None
    max_pixels: int = 179_000_000
    array_layout: str | None = None
    array_channels: str = "RGB"

    def __post_init__(self) -> None:
        _check_read_option(
            "value_range", self.value_range, "two finite numbers, low < high", _is_range
        )
        _check_read_option(
            "alpha_background", self.alpha_background, "three integers in 0..255", _is_color
        )
        _check_read_option("bands", self.bands, "one or three band numbers from 0", _is_bands)
        _check_read_option("max_pixels", self.max_pixels, "an integer above 0", lambda n: n > 0)
        _check_read_option(
            "array_layout", self.array_layout, "HWC or CHW", lambda v: v in ("HWC", "CHW")
        )
        _check_read_option(
            "array_channels", self.array_channels, "RGB or BGR", lambda v: v in ("RGB", "BGR")
        )


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """One image as every part of ovseg sees it.

    Args:
        pixels: (H, W, 3) uint8 RGB, upright.
        source: the path, or what kind of object it came from.
        notes: what was done to it, ready for JSON: `exif_orientation`, `truncated`, `depth`,
            `value_range`, `frames`, `frame`, `transparent` (share), `mode`.
    """

    pixels: np.ndarray
    source: str = "<array>"
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


def _check_read_option(name: str, value: Any, expected: str, good: Callable[[Any], bool]) -> None:
    if value is None and name in _OPTIONAL:
        return
    try:
        accepted = good(value)
    except (TypeError, ValueError):
        accepted = False
    if not accepted:
        raise ConfigError(f"{value!r} cannot be used", where=name, expected=expected)


def _is_range(value: tuple[float, float]) -> bool:
    low, high = value
    return math.isfinite(low) and math.isfinite(high) and low < high


def _is_color(value: tuple[int, int, int]) -> bool:
    return len(value) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in value)


def _is_bands(value: tuple[int, ...]) -> bool:
    return len(value) in (1, 3) and all(isinstance(v, int) and v >= 0 for v in value)
