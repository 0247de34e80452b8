"""Position tables at another grid than the trained one."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import CheckpointError, ConfigError

log = logging.getLogger(__name__)


RULES = ("size", "plus_0.1", "antialias")


def check_rule(rule: str) -> None:
    """Refuse an unknown rule.

    Raises:
        ConfigError: it is none of `RULES`.
    """
    if rule not in RULES:
        raise ConfigError(
            f"unknown position rule {rule!r}", where="position_rule", expected=", ".join(RULES)
        )


def square_grid(tokens: int) -> tuple[int, int]:
    """Grid (g, g) of a table with g * g rows.

    Raises:
        ConfigError: the number of rows is not a square.

    Example:
        >>> square_grid(196)
        (14, 14)
    """
    side = math.isqrt(tokens)
    if side * side != tokens:
        raise ConfigError(
            f"a position table of {tokens} rows is not square",
            expected="a square number of rows",
            fix="give the trained grid (rows, columns)",
        )
    return side, side


def resize_positions(
    table: Tensor,
    grid: tuple[int, int],
    rule: str = "size",
    *,
    native: tuple[int, int] | None = None,
    prefix: int = 1,
) -> Tensor:
    """Resample the patch rows of a position table bicubically; other rows stay as they are.

    Args:
        table: (prefix + n, D) rows in raster order, class and register tokens first.
        grid: wanted (rows, columns).
        rule: "size" resamples to the wanted size, without antialias (MaskCLIP, CLIP-DINOiser,
            DeCLIP); "plus_0.1" hands the factor (size + 0.1) / native to the interpolation, as
            DINO's own code and Trident do; "antialias" is the rule of timm and DINOv2.
        native: trained (rows, columns); None means square.
        prefix: number of rows that belong to no patch.

    Returns:
        (prefix + rows * columns, D); the table itself where the grid is the trained one.

    Raises:
        ConfigError: unknown rule, or a table that is neither square nor of the given grid.
    """
    check_rule(rule)
    patches = table[prefix:]
    native = square_grid(len(patches)) if native is None else native
    if native[0] * native[1] != len(patches):
        raise ConfigError(
            f"a position table of {len(patches)} rows does not fit the grid {native}",
            expected=f"{native[0] * native[1]} rows",
        )
    if tuple(grid) == tuple(native):
        return table
    rows = patches.float().reshape(1, *native, -1).permute(0, 3, 1, 2)
    if rule == "plus_0.1":
        factor = ((grid[0] + 0.1) / native[0], (grid[1] + 0.1) / native[1])
        rows = functional.interpolate(
            rows, scale_factor=factor, mode="bicubic", align_corners=False
        )
    else:
        rows = functional.interpolate(
            rows, size=grid, mode="bicubic", align_corners=False, antialias=rule == "antialias"
        )
    rows = rows.permute(0, 2, 3, 1).reshape(grid[0] * grid[1], -1)
    return torch.cat([table[:prefix], rows.to(table.dtype)])


def fit_positions(
    state: dict[str, Tensor],
    name: str,
    grid: tuple[int, int],
    prefix: int,
    rule: str,
    where: str | Path,
) -> None:
    """Resize the position table of a state dict, in place, when it has another grid.

    A table whose rows are not square in number is refused unless it already fits.

    Raises:
        CheckpointError: the grid of the table cannot be told.
    """
    table = state.get(name)
    if table is None or table.shape[-2] == grid[0] * grid[1] + prefix:
        return
    flat = table.reshape(-1, table.shape[-1])
    try:
        resized = resize_positions(flat, grid, rule, prefix=prefix)
    except ConfigError as error:
        raise CheckpointError(f"{name}: {error.what}", where=where, fix=error.fix) from error
    state[name] = resized.reshape(*table.shape[:-2], *resized.shape)
    log.warning(
        "%s: position table of %d rows resized to the model's grid %d x %d",
        where,
        len(flat),
        *grid,
    )
