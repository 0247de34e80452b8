import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ovseg.errors import ConfigError, InputError
from ovseg.inference.windows import network_size, slide, whole, window_batches

side = st.integers(1, 60)


@given(size=st.tuples(side, side), crop=st.tuples(side, side), data=st.data())
def test_windows_cover_every_pixel_and_stay_inside(size, crop, data):
    stride = tuple(data.draw(st.integers(1, c)) for c in crop)
    grid = slide(size, crop, stride)
    seen = torch.zeros(size)
    for top, left, bottom, right in grid.boxes():
        assert 0 <= top < bottom <= size[0]
        assert 0 <= left < right <= size[1]
        assert (bottom - top, right - left) == grid.crop
        seen[top:bottom, left:right] += 1
    assert seen.min() >= 1
    for axis, starts in enumerate((grid.tops, grid.lefts)):
        # The rule of mmseg for the number of windows.
        assert len(starts) == max(size[axis] - crop[axis] + stride[axis] - 1, 0) // stride[axis] + 1
        assert list(starts) == sorted(set(starts))


def test_last_window_is_pushed_back():
    assert slide((448, 600), (448, 448), (224, 224)).lefts == (0, 152)


@pytest.mark.parametrize(
    ("crop", "stride", "name"),
    [((0, 8), (1, 1), "crop_size"), ((8, 8), (0, 1), "stride"), ((8, 8), (8, 9), "stride")],
)
def test_settings_that_cannot_work(crop, stride, name):
    with pytest.raises(ConfigError, match=name):
        slide((20, 20), crop, stride)


def test_empty_image():
    with pytest.raises(InputError):
        slide((0, 20), (8, 8), (8, 8))


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_batches_hold_the_windows_in_order(batch):
    image = torch.rand(3, 30, 45)
    grid = slide((30, 45), (16, 16), (10, 10))
    found = list(window_batches(image, grid, batch))
    windows = torch.cat([pixels for _, pixels in found])
    for (top, left, bottom, right), window in zip(grid.boxes(), windows, strict=True):
        assert torch.equal(window, image[:, top:bottom, left:right])
    assert [s.start for s, _ in found] == list(range(0, len(grid), batch))


@pytest.mark.parametrize("batch", [0, -1])
def test_batch_below_one(batch):
    with pytest.raises(ConfigError, match="window_batch"):
        next(window_batches(torch.rand(3, 8, 8), whole((8, 8)), batch))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1024, 2048), (448, 896)),
        ((375, 500), (448, 597)),
        ((1, 1), (448, 448)),
        ((5000, 1), (2048, 1)),
        ((1, 5000), (1, 2048)),
    ],
)
def test_network_size(size, expected):
    assert network_size(size, 448) == expected


def test_network_size_without_a_short_side():
    assert network_size((3000, 4000), None) == (3000, 4000)
