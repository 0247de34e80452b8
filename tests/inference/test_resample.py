import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ovseg.inference.resample import ResizeWeights, bilinear, chain, window_average


def dense(taps: ResizeWeights, columns: int) -> torch.Tensor:
    matrix = torch.zeros(len(taps), columns)
    return matrix.scatter_add_(1, taps.index, taps.weight)


@given(cells=st.integers(1, 40), length=st.integers(1, 90))
def test_bilinear_weights_are_those_of_torch(cells, length):
    expected = F.interpolate(torch.eye(cells)[None], length, mode="linear")[0].T
    torch.testing.assert_close(dense(bilinear(cells, length), cells), expected, atol=1e-6, rtol=0)


def test_mean_of_windows_divides_by_the_number_that_cover_a_pixel():
    window = bilinear(1, 4)
    matrix = dense(window_average((0, 2), window, 1, 6), 2)
    assert matrix.tolist() == [[1, 0], [1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1], [0, 1]]


def test_compose_multiplies():
    inner, outer = bilinear(5, 17), bilinear(17, 9)
    expected = dense(outer, 17) @ dense(inner, 5)
    torch.testing.assert_close(dense(chain(outer, inner), 5), expected)


@pytest.mark.parametrize(("start", "stop"), [(0, 7), (5, 12), (20, 23)])
def test_block_is_a_part_of_the_matrix(start, stop):
    taps = bilinear(6, 23)
    used, matrix = taps.block(start, stop, 10)
    whole = dense(taps, 6)
    torch.testing.assert_close(matrix[: stop - start], whole[start:stop][:, used])
    assert not matrix[stop - start :].any()
    unused = torch.ones(6, dtype=torch.bool)
    unused[used] = False
    assert not whole[start:stop][:, unused].any()
