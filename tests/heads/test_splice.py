"""The size on which Trident lays windows, and the canvas of their features."""

from __future__ import annotations

import pytest
import torch

from ovseg.heads.splice import fitted_size, splice
from ovseg.inference.windows import slide


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((336, 448), (336, 448)),  # multiples of the patch stay
        ((448, 597), (464, 608)),  # the short side grows with the long one, then to a multiple
        ((320, 640), (336, 640)),  # room for a window
        ((1, 5000), (336, 5008)),
        ((1, 1), (336, 336)),
    ],
)
def test_fitted_size(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert fitted_size(size, 16, (336, 336)) == fitted


def test_overlaps_are_averaged() -> None:
    grid = slide((16, 40), (16, 16), (16, 12))
    maps = torch.arange(len(grid)).float().view(-1, 1, 1, 1).expand(-1, 2, 4, 4)
    found = splice(maps, grid, 4)
    assert found.shape == (2, 4, 10)
    assert found[0, 0].tolist() == [0, 0, 0, 0.5, 1, 1, 1.5, 2, 2, 2]


@pytest.mark.parametrize(("cells", "side"), [(3, 4), (5, 4), (8, 8), (1, 4)])
def test_maps_are_resized_to_whole_cells_a_patch(cells: int, side: int) -> None:
    grid = slide((16, 16), (16, 16), (16, 16))
    assert splice(torch.ones(1, 1, cells, cells), grid, 4).shape == (1, side, side)
