from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.models.position_embedding import resize_positions, square_grid


def table(side: int = 4, prefix: int = 1) -> torch.Tensor:
    return torch.randn(prefix + side * side, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("rule", ["size", "plus_0.1", "antialias"])
def test_native_grid_is_left_alone(rule: str) -> None:
    rows = table()
    assert resize_positions(rows, (4, 4), rule) is rows


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize("grid", [(7, 3), (4, 9), (1, 1)])
def test_prefix_rows_stay_and_grid_is_reached(grid: tuple[int, int], prefix: int) -> None:
    rows = table(prefix=prefix)
    out = resize_positions(rows, grid, prefix=prefix)
    assert out.shape == (prefix + grid[0] * grid[1], 6)
    assert torch.equal(out[:prefix], rows[:prefix])


def test_same_number_of_rows_in_another_shape_is_resampled() -> None:
    rows = table()
    assert not torch.equal(resize_positions(rows, (2, 8)), rows)


def test_rules_differ_and_follow_interpolate() -> None:
    rows = table()
    square = rows[1:].T.reshape(1, 6, 4, 4)
    size = functional.interpolate(square, size=(6, 5), mode="bicubic", align_corners=False)
    factor = functional.interpolate(square, scale_factor=(6.1 / 4, 5.1 / 4), mode="bicubic")
    smooth = functional.interpolate(square, size=(6, 5), mode="bicubic", antialias=True)
    for rule, expected in {"size": size, "plus_0.1": factor, "antialias": smooth}.items():
        found = resize_positions(rows, (6, 5), rule)[1:]
        torch.testing.assert_close(found, expected.flatten(2)[0].T)


def test_non_square_native_grid() -> None:
    rows = table()
    assert resize_positions(rows, (2, 8), native=(2, 8)) is rows


def test_half_precision_stays_half() -> None:
    assert resize_positions(table().half(), (5, 5)).dtype == torch.float16


def test_errors() -> None:
    with pytest.raises(ConfigError, match="size, plus_0.1, antialias"):
        resize_positions(table(), (2, 2), "cubic")
    with pytest.raises(ConfigError, match="not square"):
        square_grid(15)
    with pytest.raises(ConfigError, match="does not fit the grid"):
        resize_positions(table(), (2, 2), native=(3, 4))
