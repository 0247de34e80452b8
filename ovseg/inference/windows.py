"""Where the windows of an image lie, and how large the network sees the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ovseg.errors import ConfigError, InputError

__all__ = ["WindowGrid", "network_size", "slide", "whole", "window_batches"]

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
