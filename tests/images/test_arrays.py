"""Arrays as images: the contract, and a message for everything else (bad inputs 18 to 20)."""

from __future__ import annotations

import numpy as np
import pytest

from ovseg.errors import ConfigError, InputError, RuntimeLimitError
from ovseg.images import ReadOptions, read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def test_pixels_are_copied():
    image = read_image(PIXELS)
    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert not np.shares_memory(image.pixels, PIXELS)


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, object, np.float32, np.uint16, np.complex64])
def test_other_dtypes_are_refused_with_dtype_and_shape(dtype):
    with pytest.raises(InputError, match=rf"dtype {np.dtype(dtype)} and shape \(4, 6, 3\)"):
        read_image(PIXELS.astype(dtype))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((3, 4, 6), 'array_layout="CHW"'),
        ((4, 6), "PIL.Image.fromarray"),
        ((4, 6, 1), "PIL.Image.fromarray"),
        ((4, 6, 4), "PIL.Image.fromarray"),
        ((2, 4, 6, 3), "one by one"),
        ((0, 6, 3), "at least one pixel"),
        ((4, 6, 5), "three color channels"),
        ((), "three color channels"),
    ],
)
def test_other_shapes_are_refused_with_a_hint(shape, hint):
    with pytest.raises(InputError, match=hint) as caught:
        read_image(np.zeros(shape, np.uint8))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 3, 3), (3, 50, 3)])
def test_ambiguous_shapes_need_the_layout(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    with pytest.raises(InputError, match="can be read as"):
        read_image(array)
    as_is = read_image(array, ReadOptions(array_layout="HWC"))
    np.testing.assert_array_equal(as_is.pixels, array)
    turned = read_image(array, ReadOptions(array_layout="CHW"))
    np.testing.assert_array_equal(turned.pixels, array.transpose(1, 2, 0))


def test_layout_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"a \(3, H, W\) array"):
        read_image(PIXELS, ReadOptions(array_layout="CHW"))


def test_bgr_order():
    image = read_image(PIXELS, ReadOptions(array_channels="BGR"))
    np.testing.assert_array_equal(image.pixels, PIXELS[..., ::-1])
    assert image.pixels.flags.c_contiguous


def test_value_range_lets_other_dtypes_in():
    unit = PIXELS.astype(np.float64) / 255
    image = read_image(unit, ReadOptions(value_range=(0, 1)))
    np.testing.assert_array_equal(image.pixels, PIXELS)


def test_first_nan_is_named():
    array = np.zeros((4, 6, 3), np.float32)
    array[1, 2, 0] = np.nan
    with pytest.raises(InputError, match=r"nan at index \(1, 2, 0\)"):
        read_image(array, ReadOptions(value_range=(0, 1)))


def test_pixel_limit_holds_for_arrays():
    with pytest.raises(RuntimeLimitError, match="24 pixels"):
        read_image(PIXELS, ReadOptions(max_pixels=23))


@pytest.mark.parametrize(
    "options",
    [
        {"value_range": (5, 5)},
        {"value_range": (0, float("inf"))},
        {"value_range": (1,)},
        {"alpha_background": (0, 0)},
        {"alpha_background": (0, 0, 256)},
        {"alpha_background": None},
        {"bands": (0, 1)},
        {"bands": (-1,)},
        {"max_pixels": 0},
        {"array_layout": "WHC"},
        {"array_channels": "GBR"},
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(ConfigError) as caught:
        ReadOptions(**options)
    assert caught.value.where == next(iter(options))
