"""How large the network sees an image, and where windows lie: `test_cfg` of configurations."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import torch
from torch import Tensor

from ovseg.errors import ConfigError, InputError
from ovseg.utils.plain_data import check_keys

__all__ = [
    "CELL_ALIGNMENTS",
    "InferenceSettings",
    "WindowGrid",
    "check_threshold",
    "network_size",
    "slide",
    "whole",
    "window_batches",
]

CELL_ALIGNMENTS = ("stretch", "exact", "around")
Size = tuple[int, int]


@dataclass(frozen=True)
class WindowGrid:
    """Windows of one size in rows and columns over an image.

    Attributes:
        size: (H, W) of the network's image in pixels.
        crop: (h, w) of every window, at most `size`.
        tops: first pixel row of each row of windows, ascending.
        lefts: first pixel column of each column of windows, ascending.
    """

    size: Size
    crop: Size
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Return (top, left, bottom, right) of every window, row by row; ends are exclusive."""
        height, width = self.crop
        return [(y, x, y + height, x + width) for y in self.tops for x in self.lefts]


def whole(size: Size) -> WindowGrid:
    """Return one window that covers the image.

    Example:
        >>> whole((30, 40)).boxes()
        [(0, 0, 30, 40)]
    """
    return WindowGrid(size, size, (0,), (0,))


def slide(size: Size, crop: Size, stride: Size) -> WindowGrid:
    """Lay windows every `stride` pixels; the last one of an axis is pushed back inside (mmseg).

    Args:
        size: (H, W) of the image.
        crop: (h, w) of a window; clipped to the image.
        stride: (rows, columns) between windows, at most the crop.

    Raises:
        ConfigError: a crop or stride below 1, or a stride above the crop, which leaves holes.
        InputError: an empty image.

    Example:
        >>> slide((448, 896), (448, 448), (224, 224)).lefts
        (0, 224, 448)
    """
    if min(size) < 1:
        raise InputError(f"image of {size[0]} x {size[1]} pixels", expected="at least 1 x 1")
    for name, values in (("crop_size", crop), ("stride", stride)):
        if min(values) < 1:
            raise ConfigError(f"{name} {values}", where=name, expected="at least 1 pixel")
    if stride[0] > crop[0] or stride[1] > crop[1]:
        raise ConfigError(
            f"stride {stride} above the crop {crop} leaves parts of the image unseen",
            where="stride",
            expected=f"at most {crop}",
        )
    crop = min(crop[0], size[0]), min(crop[1], size[1])
    tops, lefts = (
        tuple(min(i * step, side - length) for i in range(-(-(side - length) // step) + 1))
        for side, length, step in zip(size, crop, stride, strict=True)
    )
    return WindowGrid(size, crop, tops, lefts)


def window_batches(image: Tensor, grid: WindowGrid, batch: int) -> Iterator[tuple[slice, Tensor]]:
    """Cut the windows of an image out, some at a time.

    Args:
        image: (3, H, W).
        grid: where the windows lie.
        batch: windows at a time.

    Yields:
        (slice of the window numbers, (b, 3, h, w)), in the order of `WindowGrid.boxes`.

    Raises:
        ConfigError: `batch` is below 1.
    """
    if batch < 1:
        raise ConfigError(f"window_batch {batch}", where="window_batch", expected="at least 1")
    boxes = grid.boxes()
    for start in range(0, len(boxes), batch):
        stop = min(start + batch, len(boxes))
        cut = [image[:, y:bottom, x:right] for y, x, bottom, right in boxes[start:stop]]
        yield slice(start, stop), torch.stack(cut)


def network_size(size: Size, short_side: int | None, long_side: int = 2048) -> Size:
    """Return the size at which the network sees an image, the aspect ratio kept (mmcv's rule).

    Args:
        size: (H, W) of the image.
        short_side: wanted length of the short side; None keeps the image's own size.
        long_side: limit of the long side, which wins where both cannot be had.

    Returns:
        (H', W'), sides `int(side * factor + 0.5)`, at least 1.

    Example:
        >>> network_size((1024, 2048), 448)
        (448, 896)
        >>> network_size((1, 5000), 448)
        (1, 2048)
    """
    if short_side is None:
        return size
    factor = min(max(long_side, short_side) / max(size), min(long_side, short_side) / min(size))
    height, width = (max(int(side * factor + 0.5), 1) for side in size)
    return height, width


def check_threshold(threshold: float) -> None:
    """Refuse a threshold outside [0, 1], NaN included.

    Raises:
        ConfigError: it is.
    """
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold {threshold}", where="threshold", expected="from 0 to 1")


@dataclass(frozen=True)
class InferenceSettings:
    """Settings of inference.

    Args:
        mode: "slide" for windows, "whole" for the image at once.
        crop_size: side of a window, or (height, width), in pixels of the network's image.
        stride: distance of windows, likewise; at most the crop.
        short_side: length that the short side of an image gets; None leaves images as they are.
        long_side: limit of the long side; only with `short_side`.
        window_batch: windows that go through a tower at a time.
        threshold: pixels whose best probability is lower become background; in [0, 1].
        cell_alignment: "stretch", "exact" or "around" (with that padding of the encoder), see
            `ovseg.inference.decode.decode`.
        resize: whose bilinear rule resizes images: "opencv", as mmcv does, or "pillow", which
            averages where it shrinks.

    Raises:
        ConfigError: a setting of a wrong type or out of its range.
    """

    mode: str = "whole"
    crop_size: int | tuple[int, int] = 448
    stride: int | tuple[int, int] = 224
    short_side: int | None = 448
    long_side: int = 2048
    window_batch: int = 8
    threshold: float = 0.0
    cell_alignment: str = "stretch"
    resize: str = "opencv"

    def __post_init__(self) -> None:
        choices = {
            "mode": ("slide", "whole"),
            "cell_alignment": CELL_ALIGNMENTS,
            "resize": ("opencv", "pillow"),
        }
        for name, valid in choices.items():
            if getattr(self, name) not in valid:
                raise ConfigError(
                    f"{name} {getattr(self, name)!r}",
                    where=f"test_cfg.{name}",
                    expected=" or ".join(valid),
                )
        for name in ("short_side", "long_side", "window_batch"):
            value = getattr(self, name)
            if not (name == "short_side" and value is None):
                _check_length(name, value)
        for name in ("crop_size", "stride"):
            object.__setattr__(self, name, _pair(name, getattr(self, name)))
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, (int, float)):
            raise ConfigError(f"threshold {self.threshold!r}", where="test_cfg.threshold")
        check_threshold(self.threshold)
        if self.mode == "slide":
            slide(self.crop, self.crop, self.step)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any] | None) -> InferenceSettings:
        """Read settings from plain data.

        Raises:
            ConfigError: an unknown key or a wrong value.
        """
        data = check_keys(data or {}, [field.name for field in fields(cls)], "test_cfg")
        return cls(**data)

    def fit_patch(self, patch: int, *, strict: bool = False) -> InferenceSettings:
        """Round the crop up to multiples of the patch, with a warning; not with "around".

        Raises:
            ConfigError: it has to be rounded, but `strict` is set.
        """
        whole = self.mode == "whole" or self.cell_alignment == "around"
        if whole or not any(side % patch for side in self.crop):
            return self
        height, width = (side + -side % patch for side in self.crop)
        crop = height, width
        what = f"crop_size {self.crop_size} is no multiple of the patch of {patch} pixels"
        if strict:
            raise ConfigError(what, where="test_cfg.crop_size", fix=f"use {crop}")
        warnings.warn(f"{what}: {crop} is used", stacklevel=2)
        return replace(self, crop_size=crop)

    def check_padding(self, pad_mode: str) -> None:
        """Refuse an encoder that pads around windows where decode does not, and the reverse.

        Raises:
            ConfigError: "around" for one of them only.
        """
        if (pad_mode == "around") != (self.cell_alignment == "around"):
            raise ConfigError(
                f"the encoder pads {pad_mode!r}, the windows are aligned {self.cell_alignment!r}",
                where="backbone.pad_mode, test_cfg.cell_alignment",
                expected="around for both or for neither",
            )

    @property
    def crop(self) -> tuple[int, int]:
        """(height, width) of a window."""
        return cast("tuple[int, int]", self.crop_size)

    @property
    def step(self) -> tuple[int, int]:
        """Distance of windows (down, across)."""
        return cast("tuple[int, int]", self.stride)

    def network_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size (H', W') at which the network sees an image of size (H, W)."""
        return network_size(size, self.short_side, self.long_side)

    def windows(self, size: tuple[int, int]) -> WindowGrid:
        """Lay the windows over a network image of size (H', W')."""
        return slide(size, self.crop, self.step) if self.mode == "slide" else whole(size)


def _check_length(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(
            f"{name} {value!r}", where=f"test_cfg.{name}", expected="a whole number above 0"
        )


def _pair(name: str, value: object) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    for side in pair:
        _check_length(name, side)
    if len(pair) != 2:
        raise ConfigError(f"{name} {value!r}", where=f"test_cfg.{name}", expected="one or two")
    return pair
