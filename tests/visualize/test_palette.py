"""Colors for classes (bad input 42)."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest

from ovseg.errors import ConfigError
from ovseg.visualize.palette import distinct_colors, parse_palette


@pytest.mark.parametrize("count", [0, 1, 40, 256, 257, 3000])
def test_as_many_different_colors_as_asked(count):
    colors = distinct_colors(count)
    assert len(set(colors)) == len(colors) == count
    assert all(0 <= value <= 255 for color in colors for value in color)


def test_forty_are_told_apart():
    rgb = np.array([distinct_colors(40)], np.float32) / 255
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0]
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    assert distances[~np.eye(40, dtype=bool)].min() > 25


def test_a_class_keeps_its_color():
    assert distinct_colors(300)[:40] == distinct_colors(40)


@pytest.mark.parametrize("count", [-1, 300_000])
def test_impossible_counts(count):
    with pytest.raises(ConfigError, match="colors"):
        distinct_colors(count)


def test_colors_stay_what_they_are():
    colors = distinct_colors(300)
    assert colors[:3] == ((221, 51, 51), (0, 255, 0), (0, 0, 255))
    assert hashlib.sha256(bytes(sum(colors, ()))).hexdigest()[:16] == "721da415ca610c3e"


def test_palette_file(tmp_path):
    path = tmp_path / "palette.txt"
    path.write_bytes(
        "\ufeff# our colors\r\n#ff0000\r\nsea: #00f\r\n\r\nred car: 1, 2, 3\r\n4 5 6\r\n".encode()
    )
    assert parse_palette(path, 4) == ((255, 0, 0), (0, 0, 255), (1, 2, 3), (4, 5, 6))
    assert parse_palette(str(path), 2) == ((255, 0, 0), (0, 0, 255))


def test_palette_list():
    assert parse_palette([(1, 2, 3), "#0a0b0c", "7,8,9"], 3) == ((1, 2, 3), (10, 11, 12), (7, 8, 9))


def test_shorter_than_the_classes():
    with pytest.raises(ConfigError, match="1 colors for 2 classes"):
        parse_palette(["#fff"], 2)


@pytest.mark.parametrize("bad", ["#ff00", "#gg0000", "red", "256 0 0", "", "1 2", "1 2 3 4"])
def test_bad_colors_are_named_with_their_place(tmp_path, bad):
    with pytest.raises(ConfigError, match="color 2.*is not a color"):
        parse_palette(["#fff", bad], 2)
    if bad:
        (tmp_path / "p.txt").write_text(f"#fff\n{bad}\n")
        with pytest.raises(ConfigError, match="p.txt, line 2"):
            parse_palette(tmp_path / "p.txt", 2)


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigError, match="palette cannot be read"):
        parse_palette(tmp_path / "gone.txt", 1)


def test_equal_colors_warn():
    with pytest.warns(UserWarning, match="classes 0 and 2 have the same color"):
        parse_palette(["#fff", "#000", "#ffffff"], 3)
