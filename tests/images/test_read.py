"""The reader against everything a folder of images may hold (bad inputs 1 to 28)."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, features

from ovseg.errors import InputError, RuntimeLimitError
from ovseg.images import LoadedImage, ReadOptions, read_frames, read_image

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
SMOOTH = cv2.GaussianBlur(RNG.integers(0, 256, (60, 90, 3), dtype=np.uint8), (0, 0), 3)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


def with_orientation(image, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    return encode(image, kind, exif=exif, **lossless)


def rgb(data, **options):
    return read_image(data, ReadOptions(**options)).pixels


# Row 1
def test_missing_path_says_so(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "gone.jpg")


@pytest.mark.parametrize("name", ["", "a\0b.jpg"])
def test_impossible_path_says_so(name):
    with pytest.raises(InputError, match="no such file"):
        read_image(name)


def test_folder_in_place_of_a_file_gets_a_hint(tmp_path):
    with pytest.raises(InputError, match="is a folder.*ovseg segment"):
        read_image(tmp_path)


def test_named_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InputError, match="not a regular file"):
        read_image(tmp_path / "pipe.jpg")


# Row 2
def test_empty_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.jpg: empty file"):
        read_image(tmp_path / "a.jpg")


# Row 3
@pytest.mark.parametrize(
    ("data", "detected"),
    [
        (b"just some words\n", "text"),
        ("ein hübscher Text".encode(), "text"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"<svg xmlns=''>", "XML or SVG text"),
        (b"%PDF-1.7", "a PDF document"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "text"),
        (b"\x80\x81\x00\x03junk", "unknown data"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 20, "a film"),
    ],
)
def test_other_files_renamed_jpg(tmp_path, data, detected):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(InputError, match=f"not an image \\(detected {detected}\\)"):
        read_image(tmp_path / "a.jpg")


# Row 4
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "GIF", "PPM"])
def test_truncated_files(kind):
    data = encode(SMOOTH, kind)
    cut = data[: len(data) * 2 // 3]
    with pytest.raises(InputError, match="truncated.*allow-truncated"):
        read_image(cut)
    image = read_image(cut, ReadOptions(allow_truncated=True))
    assert image.notes["truncated"] is True
    assert image.size == (60, 90)
    whole = read_image(data, ReadOptions(allow_truncated=True))
    assert "truncated" not in whole.notes
    kept = (image.pixels == whole.pixels).all(axis=2).mean()
    assert 0.1 < kept < 1


@pytest.mark.parametrize("kind", ["WEBP", "JPEG2000"])
def test_truncated_files_of_other_formats_are_refused(kind):
    data = encode(SMOOTH, kind)
    with pytest.raises(InputError):
        read_image(data[: len(data) // 2])


def test_reading_truncated_files_leaves_pillow_strict():
    data = encode(SMOOTH, "JPEG")
    read_image(data[:-50], ReadOptions(allow_truncated=True))
    with pytest.raises(InputError):
        read_image(data[:-50])


# Row 5
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(kind, orientation):
    data = with_orientation(PIXELS, kind, orientation)
    with Image.open(io.BytesIO(data)) as pil_image:
        upright = np.asarray(ImageOps.exif_transpose(pil_image))
    image = read_image(data)
    np.testing.assert_array_equal(image.pixels, upright)
    assert image.notes.get("exif_orientation", 1) == orientation
    np.testing.assert_array_equal(rgb(data, ignore_exif=True), PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_jpeg(orientation):
    stored = rgb(encode(SMOOTH, "JPEG"))
    data = with_orientation(SMOOTH, "JPEG", orientation)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(rgb(data), np.asarray(upright))
    np.testing.assert_array_equal(rgb(data, ignore_exif=True), stored)


def test_exif_orientation_of_a_pil_image():
    image = Image.open(io.BytesIO(with_orientation(PIXELS, "PNG", 6)))
    assert read_image(image).size == (7, 5)
    assert read_image(read_image(image)).size == (7, 5)


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_impossible_orientation_is_ignored(orientation):
    np.testing.assert_array_equal(rgb(with_orientation(PIXELS, "PNG", orientation)), PIXELS)


# Row 6
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("top", [65536, 300], ids=["bright", "dark"])
def test_sixteen_bits_are_divided_by_257(make_tiff, shape, kind, top):
    values = np.random.default_rng(1).integers(0, top, shape, dtype=np.uint16)
    stored = values if values.ndim == 2 else values[..., ::-1]
    data = make_tiff(values) if kind == "tiff" else cv2.imencode(".png", stored)[1].tobytes()
    image = read_image(data)
    expected = np.round(values / 257).astype(np.uint8)
    expected = expected if values.ndim == 3 else expected[..., None].repeat(3, axis=2)
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.notes["depth"] == "uint16 / 257"


def test_value_range_of_twelve_bit_data():
    values = np.array([[0, 1000, 4095, 5000]], np.uint16)
    image = read_image(
        cv2.imencode(".png", values)[1].tobytes(), ReadOptions(value_range=(0, 4095))
    )
    assert image.pixels[0, :, 0].tolist() == [0, 62, 255, 255]
    assert image.notes["depth"] == "uint16 0..4095"


def test_value_range_leaves_eight_bit_images_alone():
    np.testing.assert_array_equal(rgb(encode(PIXELS, "PNG"), value_range=(0, 10)), PIXELS)


def test_sixteen_bit_png_with_alpha():
    values = np.full((2, 2, 4), 65535, np.uint16)
    values[0, 0] = 0
    pixels = rgb(cv2.imencode(".png", values)[1].tobytes(), alpha_background=(1, 2, 3))
    assert pixels[0, 0].tolist() == [1, 2, 3]
    assert pixels[1, 1].tolist() == [255, 255, 255]


# Row 7
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("scale", [1, 255])
def test_float_tiff_in_unit_or_byte_range(make_tiff, shape, scale):
    values = np.random.default_rng(2).random(shape, np.float32) * scale
    values.flat[0] = scale
    expected = np.floor(values.astype(np.float64) * (255 / scale) + 0.5).astype(np.uint8)
    pixels = rgb(make_tiff(values))
    np.testing.assert_array_equal(pixels[..., 0], expected if len(shape) == 2 else expected[..., 0])


def test_float_tiff_in_another_range_asks(make_tiff):
    data = make_tiff(np.linspace(-3, 900, 35, dtype=np.float32).reshape(5, 7))
    with pytest.raises(InputError, match=r"-3\.\.900.*value-range"):
        read_image(data)
    assert rgb(data, value_range=(-3, 900))[[0, -1], [0, -1], 0].tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [np.int16, np.uint32])
def test_integers_without_a_scale_ask(make_tiff, dtype):
    data = make_tiff(np.arange(35).reshape(5, 7).astype(dtype))
    with pytest.raises(InputError, match="no fixed scale.*value-range"):
        read_image(data)
    assert rgb(data, value_range=(0, 34))[-1, -1, 0] == 255


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_first_value_that_is_not_finite_is_named(make_tiff, bad):
    values = np.zeros((5, 7), np.float32)
    values[2, 3] = bad
    with pytest.raises(InputError, match=r"at index \(2, 3\)"):
        read_image(make_tiff(values))


def test_exr_is_told_apart():
    with pytest.raises(InputError, match="OpenEXR"):
        read_image(b"v/1\x01" + b"\0" * 30)


# Row 8
@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_few_colors_become_rgb(mode):
    image = Image.fromarray(PIXELS).convert(mode)
    np.testing.assert_array_equal(rgb(encode(image, "PNG")), np.asarray(image.convert("RGB")))


# Row 9
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_what_pillow_makes_of_it(kind):
    data = encode(Image.fromarray(SMOOTH).convert("CMYK"), kind)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_array_equal(rgb(data), np.asarray(expected))


# Row 10
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_on_white(mode):
    pil_image = Image.new("RGBA", (2, 1), (100, 100, 100, 0))
    pil_image.putpixel((1, 0), (100, 100, 100, 102))
    image = read_image(encode(pil_image.convert(mode), "PNG"))
    assert image.pixels[0, :, 0].tolist() == [255, round(100 * 0.4 + 255 * 0.6)]
    assert image.notes["transparent"] == 0.5
    black = rgb(encode(pil_image.convert(mode), "PNG"), alpha_background=(0, 0, 0))
    assert black[0, :, 0].tolist() == [0, 40]


def test_transparent_palette_color_lies_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((1, 0), 1)
    assert rgb(encode(image, "PNG", transparency=0))[0].tolist() == [[255] * 3, [10, 20, 30]]


# Row 11
@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_first_frame_and_all_frames(kind):
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "lime", "blue")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    first = read_image(data)
    assert first.notes["frames"] == 3
    assert first.pixels[0, 0].tolist() == [255, 0, 0]
    every = list(read_frames(data))
    assert [p.notes["frame"] for p in every] == [0, 1, 2]
    assert [p.pixels[0, 0].tolist() for p in every] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_damaged_second_frame_does_not_spoil_the_first():
    frames = [Image.fromarray(SMOOTH), Image.fromarray(SMOOTH[::-1].copy())]
    data = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(rgb(data[:-3000]), SMOOTH)


# Row 13
def test_bomb_is_found_from_the_header():
    data = encode(Image.new("1", (20_000, 10_000)), "PNG")
    with pytest.raises(RuntimeLimitError, match=r"200,000,000 pixels.*at most 179,000,000"):
        read_image(data)


@pytest.mark.parametrize("source", ["bytes", "image"])
def test_limit_is_an_option(source):
    data = encode(PIXELS, "PNG")
    given = data if source == "bytes" else Image.open(io.BytesIO(data))
    with pytest.raises(RuntimeLimitError, match="max-pixels"):
        read_image(given, ReadOptions(max_pixels=34))
    assert read_image(given, ReadOptions(max_pixels=35)).size == (5, 7)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_raised_limit_goes_beyond_pillows_own(kind, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(rgb(encode(PIXELS, kind)), PIXELS)
    assert Image.MAX_IMAGE_PIXELS == 10
    assert not recwarn.list


# Rows 14, 15
@pytest.mark.parametrize("size", [(1, 1), (5000, 1), (1, 5000)])
def test_thin_images(size):
    assert read_image(encode(Image.new("RGB", size, "red"), "PNG")).size == size[::-1]


# Row 21
@pytest.mark.parametrize(
    "name", ["Straße ümlaut.png", "猫 🐈.png", "new\nline.png", "%s{0} -x.png", "-a.png", "x" * 250]
)
def test_unusual_file_names(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(encode(PIXELS, "PNG"))
    image = read_image(name)
    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert image.source == name


# Rows 23, 25
def test_unreadable_file(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        read_image(tmp_path / "a.png")


def test_link_circle(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path / "a.png")


# Row 27
@pytest.mark.parametrize("address", ["https://a.org/p.jpg", "file:///etc/passwd", "ftp://a.org/p"])
def test_addresses_are_not_fetched(address):
    with pytest.raises(InputError, match="is an address.*download it first"):
        read_image(address)


# Row 28
@pytest.mark.parametrize(
    ("head", "package"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pillow-heif"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "pillow-avif-plugin"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "pillow-heif"),
        (b"\xff\x0a\x00\x10", "pillow-jxl-plugin"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "pillow-jxl-plugin"),
    ],
)
def test_formats_without_their_plugin_name_it(head, package, monkeypatch):
    for kind in ("AVIF", "HEIF", "JXL"):
        monkeypatch.delitem(Image.OPEN, kind, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=f"pip install {package}"):
        read_image(head + b"\0" * 40)


def test_avif_reads_where_pillow_has_it():
    if features.check("avif"):
        data = encode(SMOOTH, "AVIF", quality=100)
        assert np.abs(rgb(data).astype(int) - SMOOTH).mean() < 4


# Sources
def test_every_kind_of_source_gives_the_same(tmp_path):
    data = encode(PIXELS, "PNG")
    (tmp_path / "a.png").write_bytes(data)
    pil_image = Image.fromarray(PIXELS)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), data, pil_image, PIXELS):
        image = read_image(source)
        np.testing.assert_array_equal(image.pixels, PIXELS)
        assert image.pixels.dtype == np.uint8
        assert image.pixels.flags.c_contiguous


def test_an_image_comes_back_as_it_is():
    image = LoadedImage(np.zeros((3, 3, 3), np.uint8))
    assert read_image(image) is image


@pytest.mark.parametrize("source", [None, 3, [1, 2]])
def test_other_objects_are_refused(source):
    with pytest.raises(InputError, match="is not an image"):
        read_image(source)


def test_a_tensor_gets_a_hint():
    class Tensor:
        def detach(self): ...
        def numpy(self): ...

    with pytest.raises(InputError, match="permute"):
        read_image(Tensor())


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged tags
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_flipped_bytes_give_an_image_or_one_of_our_errors(kind):
    rng = np.random.default_rng(3)
    data = encode(cv2.resize(SMOOTH, (24, 16)), kind)
    outcomes = set()
    for _ in range(100):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[position] = rng.integers(0, 256)
        try:
            image = read_image(bytes(damaged), ReadOptions(max_pixels=10**6))
        except (InputError, RuntimeLimitError) as error:
            outcomes.add(type(error))
        else:
            outcomes.add(LoadedImage)
            assert image.pixels.ndim == 3
            assert image.pixels.dtype == np.uint8
    assert LoadedImage in outcomes
    assert InputError in outcomes
