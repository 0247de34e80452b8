"""Overlays, legends, tags, fonts and contact sheets."""

from __future__ import annotations

import numpy as np
import pytest

from ovseg.errors import ConfigError, InputError
from ovseg.visualize import legend
from ovseg.visualize.legend import LegendEntry, magnification, text_height, with_legend
from ovseg.visualize.overlay import explained, overlay_labels, with_tags
from ovseg.visualize.palette import distinct_colors
from ovseg.visualize.sheet import contact_sheet

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
HALVES = np.repeat([[0, 1]], 20, axis=0).repeat(15, axis=1).astype(np.uint8)
COLORS = ((200, 0, 0), (0, 0, 100))


def test_blend_is_the_weighted_mean():
    image = overlay_labels(IMAGE, HALVES, COLORS, alpha=0.25, borders=False)
    expected = 0.75 * IMAGE + 0.25 * np.array(COLORS)[HALVES]
    assert np.abs(image - expected).max() <= 0.5 + 1e-6


def test_blend_leaves_its_inputs_alone():
    before = IMAGE.copy()
    overlay_labels(IMAGE, HALVES, COLORS)
    np.testing.assert_array_equal(IMAGE, before)


def test_borders_lie_between_regions():
    image = overlay_labels(np.zeros_like(IMAGE), HALVES, COLORS)
    white = (image == 255).all(axis=2)
    assert white[:, 15].all()
    assert white.sum() == 20


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16])
def test_labels_without_a_color_show_the_image(dtype):
    labels = HALVES.astype(dtype)
    labels[5:9] = 255
    image = overlay_labels(IMAGE, labels, COLORS)
    np.testing.assert_array_equal(image[5:9], IMAGE[5:9])
    assert (image[:4] != IMAGE[:4]).any()


def test_negative_labels_show_the_image():
    np.testing.assert_array_equal(overlay_labels(IMAGE, HALVES.astype(int) - 5, COLORS), IMAGE)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_out_of_range(alpha):
    with pytest.raises(ConfigError, match="alpha"):
        overlay_labels(IMAGE, HALVES, COLORS, alpha=alpha)


def test_sizes_that_differ():
    with pytest.raises(InputError, match="the same height and width"):
        overlay_labels(IMAGE[:10], HALVES, COLORS)


def test_legend_lists_every_class_in_its_color():
    colors = distinct_colors(40)
    entries = [LegendEntry(f"class {i}", color, 1 / 40) for i, color in enumerate(colors)]
    image = np.full((480, 640, 3), 127, np.uint8)
    sheet = with_legend(image, entries)
    np.testing.assert_array_equal(sheet[:480, :640], image)
    shown = {tuple(color) for color in sheet[:, 640:].reshape(-1, 3).tolist()}
    assert set(colors) <= shown


@pytest.mark.parametrize(("shape", "side"), [((300, 310), "right"), ((300, 900), "below")])
def test_legend_stands_where_the_sheet_stays_small(shape, side):
    entries = [LegendEntry("tree", (1, 2, 3), 0.5)] * (16 if side == "right" else 8)
    sheet = with_legend(np.zeros((*shape, 3), np.uint8), entries)
    grown = sheet.shape[0] > shape[0], sheet.shape[1] > shape[1]
    assert grown == ((False, True) if side == "right" else (True, False))


def test_no_entries_no_legend():
    assert with_legend(IMAGE, []) is IMAGE


@pytest.mark.parametrize(
    ("shape", "factor"), [((1, 1), 256), ((64, 64), 4), ((200, 100), 2), ((1, 5000), 1)]
)
def test_small_images_grow(shape, factor):
    assert magnification(shape) == factor
    image = explained(None, np.zeros(shape, np.uint8), COLORS, ("a", "b"), [(0, 1)])
    assert image.shape[0] >= shape[0] * factor
    assert image.shape[1] >= shape[1] * factor


def test_hundreds_of_classes_keep_the_sheet_small():
    labels = np.arange(900).reshape(30, 30).repeat(10, axis=0).repeat(10, axis=1)
    classes = [f"class {i}" for i in range(900)]
    colors = distinct_colors(900)
    sheets = [
        explained(None, labels, colors, classes, [(i, 100) for i in range(count)])
        for count in (60, 61, 900)
    ]
    assert sheets[2].size < 1.5 * sheets[0].size
    listed = [
        {tuple(color) for color in sheet[:, 300:].reshape(-1, 3).tolist()} & set(colors)
        for sheet in sheets
    ]
    assert listed[0] == listed[1] == listed[2] == set(colors[:60])


def test_text_grows_with_the_image_within_bounds():
    assert [text_height((side, 9000)) for side in (10, 680, 99_999)] == [12, 20, 72]


def test_tags_stand_inside_their_region_once():
    labels = np.zeros((200, 400), np.uint8)
    labels[:, 200:] = 1
    plain = np.full((200, 400, 3), 90, np.uint8)
    tagged = with_tags(plain, labels, [(0, "left"), (1, "right")], 14)
    changed = np.argwhere((tagged != plain).any(axis=2))
    for half in (changed[changed[:, 1] < 200], changed[changed[:, 1] >= 200]):
        assert 20 < len(half) < 2000
        assert np.ptp(half[:, 0]) < 30
    assert (plain == 90).all()


def test_tags_that_do_not_fit_are_left_out():
    labels = np.zeros((200, 400), np.uint8)
    labels[100:104, 100:104] = 1
    plain = np.full((200, 400, 3), 90, np.uint8)
    tagged = with_tags(plain, labels, [(1, "tiny"), (0, "a name " * 20)], 14)
    np.testing.assert_array_equal(tagged, plain)


@pytest.mark.parametrize(
    "name",
    ["Straße", "дерево", "猫", "🐈", "שלום", "مرحبا", "é", "a\nb", "<b>&", "%s{}", " ", "\u200b"],
)
def test_any_class_name_can_be_drawn(name):
    labels = np.zeros((120, 160), np.uint8)
    image = explained(None, labels, COLORS, (name, "b"), [(0, labels.size)])
    assert image.shape[0] > 120


def test_ascii_takes_pillows_own_font():
    font, text = legend.font_for("a  red\ncar", 14)
    assert text == "a red car"
    assert font is legend.font_for("tree", 14)[0]


def test_characters_that_no_font_has_show_their_code(monkeypatch):
    monkeypatch.setattr(legend, "_system_fonts", lambda size: [])
    assert legend.font_for("猫 cat", 14)[1] == "<U+732B> cat"


def test_contact_sheet_shows_each_image():
    rows = [[np.full((50, 100, 3), value, np.uint8) for value in (10, 20)] for _ in range(3)]
    sheet = contact_sheet(["image", "model"], rows, captions=["a", "猫", "c" * 200], cell=(50, 100))
    for value in (10, 20):
        assert (sheet == value).all(axis=2).sum() >= 3 * 50 * 100


def test_contact_sheet_keeps_proportions():
    sheet = contact_sheet(["p"], [[np.zeros((10, 100, 3), np.uint8)]], cell=(80, 200))
    rows, columns = np.nonzero((sheet[30:] == 0).all(axis=2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 200)


def test_contact_sheet_with_legend_is_larger():
    rows = [[IMAGE]]
    plain = contact_sheet(["p"], rows)
    assert contact_sheet(["p"], rows, entries=[LegendEntry("sky", (1, 2, 3))]).size > plain.size


@pytest.mark.parametrize(
    ("rows", "captions"), [([], []), ([[IMAGE]], []), ([[IMAGE] * 2], ["a", "b"])]
)
def test_contact_sheet_that_does_not_fit(rows, captions):
    with pytest.raises(ConfigError, match="contact sheet"):
        contact_sheet(["a", "b"], rows, captions=captions)
