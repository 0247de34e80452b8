"""One map of an image from the maps of its windows: the mean where they overlap."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ovseg.inference.windows import WindowGrid

__all__ = ["fitted_size", "splice", "to_patches"]

Size = tuple[int, int]


def fitted_size(size: Size, patch: int, least: Size = (1, 1)) -> Size:
    """Return a size whose sides are multiples of the patch and hold a window (Trident).

    The long side grows to the next multiple, the short side with it and then to its own next
    multiple; the aspect ratio may change a little.

    Args:
        size: (H, W) of the image.
        patch: pixels of a patch.
        least: (height, width) of a window, multiples of the patch.

    Example:
        >>> fitted_size((120, 158), 16, (112, 112))
        (128, 160)
        >>> fitted_size((1, 2048), 16, (336, 336))
        (336, 2048)
    """
    if all(side % patch == 0 and side >= low for side, low in zip(size, least, strict=True)):
        return size
    longest = max(size)
    wanted = longest + -longest % patch
    grown = (side * wanted // longest for side in size)
    height, width = (max(side + -side % patch, low) for side, low in zip(grown, least, strict=True))
    return height, width


def to_patches(maps: Tensor, grid: WindowGrid, patch: int) -> Tensor:
    """Resize maps whose cells do not divide a patch evenly to the nearest that do.

    Args:
        maps: (windows, C, h, w).
        grid: where the windows lie.
        patch: pixels of a patch.

    Returns:
        (windows, C, h', w'), the same number of cells, at least 1, along each side of a patch.
    """
    patches = grid.crop[0] // patch, grid.crop[1] // patch
    cells = max(round(maps.shape[2] / patches[0]), 1)
    wanted = patches[0] * cells, patches[1] * cells
    if tuple(maps.shape[2:]) == wanted:
        return maps
    return functional.interpolate(maps, wanted, mode="bilinear")


def splice(maps: Tensor, grid: WindowGrid, patch: int) -> Tensor:
    """Lay the maps of all windows on one canvas and take the mean where they overlap.

    Args:
        maps: (windows, C, h, w), in the order of `WindowGrid.boxes`; see `to_patches`.
        grid: where the windows lie; all places are multiples of the patch.
        patch: pixels of a patch.

    Returns:
        (C, rows, columns), a whole number of cells a patch.
    """
    maps = to_patches(maps, grid, patch)
    height, width = maps.shape[2:]
    cells = height * patch // grid.crop[0]
    rows, columns = (side // patch * cells for side in grid.size)
    canvas = maps.new_zeros(maps.shape[1], rows, columns)
    count = maps.new_zeros(rows, columns)
    for (top, left, _, _), window in zip(grid.boxes(), maps, strict=True):
        place = slice(top // patch * cells, top // patch * cells + height)
        along = slice(left // patch * cells, left // patch * cells + width)
        canvas[:, place, along] += window
        count[place, along] += 1
    return canvas / count
