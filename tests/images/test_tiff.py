"""Deep and many-band TIFF files in every layout (bad inputs 6, 7, 12)."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ovseg.errors import InputError, RuntimeLimitError
from ovseg.images import ReadOptions, read_frames, read_image

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (21, 35, 3), dtype=np.uint16)
BANDS = RNG.integers(0, 256, (5, 7, 6), dtype=np.uint8)


def down(values):
    return np.round(values / 257).astype(np.uint8)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("big_endian", [False, True])
def test_sixteen_bit_color_in_every_layout(make_tiff, planar, tile, predictor, big_endian):
    layout = {"planar": planar, "tile": tile, "predictor": predictor, "big_endian": big_endian}
    image = read_image(make_tiff(DEEP, **layout))
    np.testing.assert_array_equal(image.pixels, down(DEEP))


@pytest.mark.parametrize("planar", [False, True])
def test_more_than_four_bands_ask_for_a_choice(make_tiff, planar):
    data = make_tiff(BANDS, planar=planar)
    with pytest.raises(InputError, match=r"6 bands.*at most 4.*--bands"):
        read_image(data)
    chosen = read_image(data, ReadOptions(bands=(5, 3, 0)))
    np.testing.assert_array_equal(chosen.pixels, BANDS[..., [5, 3, 0]])
    gray = read_image(data, ReadOptions(bands=(4,)))
    np.testing.assert_array_equal(gray.pixels, BANDS[..., [4, 4, 4]])


def test_band_that_is_not_there(make_tiff):
    with pytest.raises(InputError, match=r"band 6 is not there.*0\.\.5"):
        read_image(make_tiff(BANDS), ReadOptions(bands=(0, 1, 6)))


def test_bands_of_an_ordinary_tiff(make_tiff):
    data = make_tiff(BANDS[..., :4])
    np.testing.assert_array_equal(read_image(data).pixels, BANDS[..., :3])
    swapped = read_image(data, ReadOptions(bands=(3, 0, 1)))
    np.testing.assert_array_equal(swapped.pixels, BANDS[..., [3, 0, 1]])


def test_sixteen_bit_alpha_lies_on_white(make_tiff):
    values = np.zeros((1, 2, 4), np.uint16)
    values[0, 1] = 65535, 0, 0, 65535
    pixels = read_image(make_tiff(values, alpha=True)).pixels
    assert pixels[0].tolist() == [[255, 255, 255], [255, 0, 0]]


def test_sixteen_bit_gray_with_alpha(make_tiff):
    values = np.array([[[0, 0], [25700, 65535]]], np.uint16)
    pixels = read_image(make_tiff(values, alpha=True)).pixels
    assert pixels[0].tolist() == [[255, 255, 255], [100, 100, 100]]


def test_fourth_band_without_a_meaning_is_left_out(make_tiff):
    values = RNG.integers(0, 65536, (4, 5, 4), dtype=np.uint16)
    np.testing.assert_array_equal(read_image(make_tiff(values)).pixels, down(values[..., :3]))


def test_sixteen_bit_cmyk_is_what_pillow_makes_of_eight_bits(make_tiff):
    values = RNG.integers(0, 256, (4, 5, 4), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(values, "CMYK").convert("RGB"))
    pixels = read_image(make_tiff(values.astype(np.uint16) * 257, photometric=5)).pixels
    np.testing.assert_array_equal(pixels, expected)


def test_unknown_colors_ask_for_bands(make_tiff):
    data = make_tiff(DEEP, photometric=8)
    with pytest.raises(InputError, match="colors are not known.*--bands"):
        read_image(data)


def test_orientation_of_deep_tiff(make_tiff):
    data = make_tiff(DEEP, orientation=6)
    image = read_image(data)
    np.testing.assert_array_equal(image.pixels, np.rot90(down(DEEP), -1))
    assert image.notes["exif_orientation"] == 6
    raw = read_image(data, ReadOptions(ignore_exif=True))
    np.testing.assert_array_equal(raw.pixels, down(DEEP))


def test_pages_of_deep_tiff(make_tiff):
    pages = list(read_frames(make_tiff(DEEP, pages=3)))
    assert [(p.notes["frame"], p.notes["frames"]) for p in pages] == [(0, 3), (1, 3), (2, 3)]


def test_many_bands_do_not_get_around_the_pixel_limit(make_tiff):
    data = make_tiff(np.zeros((4, 5, 40), np.uint8))
    assert read_image(data, ReadOptions(bands=(0,), max_pixels=50)).size == (4, 5)
    with pytest.raises(RuntimeLimitError, match="800 samples.*at most 784"):
        read_image(data, ReadOptions(bands=(0,), max_pixels=49))


def test_samples_of_color_may_exceed_pillows_own_limit(make_tiff, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(make_tiff(DEEP)).size == DEEP.shape[:2]


def test_deep_tiff_keeps_the_pixel_limit(make_tiff):
    with pytest.raises(RuntimeLimitError, match="735 pixels"):
        read_image(make_tiff(DEEP), ReadOptions(max_pixels=700))


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged tags
def test_truncated_deep_tiff(make_tiff):
    data = make_tiff(DEEP)
    directory = int.from_bytes(data[4:8], "little")
    with pytest.raises(InputError):
        read_image(data[: directory + 20])


@pytest.mark.parametrize("options", [{}, {"value_range": (0, 4095)}])
def test_sixteen_bits_where_white_is_zero(make_tiff, options):
    values = (
        np.array([[0, 4095, 2048]], np.uint16)
        if options
        else np.array([[0, 65535, 32896]], np.uint16)
    )
    image = read_image(make_tiff(values, photometric=0), ReadOptions(**options))
    assert image.pixels[0, :, 0].tolist() == [255, 0, 127]
    assert image.notes["depth"].startswith("uint16")


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_band_in_a_plane_of_its_own(make_tiff, dtype, big_endian):
    values = BANDS[..., 0].astype(dtype) * (257 if dtype is np.uint16 else 1)
    pixels = read_image(make_tiff(values, planar=True, big_endian=big_endian)).pixels
    np.testing.assert_array_equal(pixels[..., 0], BANDS[..., 0])


def test_gray_with_alpha_where_white_is_zero(make_tiff):
    values = np.array([[[0, 65535], [65535, 65535], [65535, 0]]], np.uint16)
    pixels = read_image(make_tiff(values, photometric=0, alpha=True)).pixels
    assert pixels[0, :, 0].tolist() == [255, 0, 255]


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_bands_without_colors_ask_for_a_choice(make_tiff, planar, bands, dtype):
    values = BANDS[..., :bands].astype(dtype) * (1 if dtype is np.uint8 else 257)
    data = make_tiff(values, photometric=1, planar=planar)
    with pytest.raises(InputError, match="colors are not known.*--bands"):
        read_image(data)
    chosen = read_image(data, ReadOptions(bands=(2, 1, 0)))
    np.testing.assert_array_equal(chosen.pixels, BANDS[..., [2, 1, 0]])


@pytest.mark.parametrize("bands", [2, 4])
def test_planes_with_a_fourth_band_or_a_second(make_tiff, bands):
    values = BANDS[..., :bands]
    plain = read_image(make_tiff(values, planar=True)).pixels
    np.testing.assert_array_equal(plain, values[..., [0, 0, 0] if bands == 2 else [0, 1, 2]])
    values = values.copy()
    values[0, :, -1] = 0
    assert (read_image(make_tiff(values, planar=True, alpha=True)).pixels[0] == 255).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_bands_of_a_compressed_tiff(compression):
    buffer = io.BytesIO()
    pixels = RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "TIFF", compression=compression)
    swapped = read_image(buffer.getvalue(), ReadOptions(bands=(2, 1, 0)))
    np.testing.assert_array_equal(swapped.pixels, pixels[..., ::-1])


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_layouts_that_are_not_supported_say_what_to_do(make_tiff, dtype):
    with pytest.raises(InputError, match="not supported.*save it again"):
        read_image(make_tiff(np.zeros((4, 5, 3), dtype)))


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged tags
def test_flipped_bytes_of_deep_tiff_give_an_image_or_one_of_our_errors(make_tiff):
    rng = np.random.default_rng(3)
    data = make_tiff(DEEP[:6, :8], predictor=True)
    good = 0
    for _ in range(150):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 2):
            damaged[position] = rng.integers(0, 256)
        try:
            good += read_image(bytes(damaged), ReadOptions(max_pixels=10**6)).pixels.ndim == 3
        except (InputError, RuntimeLimitError):
            continue
    assert good
