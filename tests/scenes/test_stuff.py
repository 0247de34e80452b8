"""Stuff: textures of any size, repeatable, varied; fields and layouts that fill the image."""

import numpy as np
import pytest

from ovseg.scenes.fields import blend_layer, curve, noise, paint_ramp, recede, weighted_mean
from ovseg.scenes.layout import draw_backdrop
from ovseg.scenes.stuff import STUFF

PLACES = {"sky", "ground", "water", "road", "indoor"}


@pytest.mark.parametrize("name", STUFF)
@pytest.mark.parametrize(("size", "unit"), [((16, 16), 0.07), ((17, 90), 0.3), ((120, 70), 1.7)])
def test_textures_fill_any_size_and_repeat(name, size, unit):
    first, second, other = (
        STUFF[name].paint(*size, np.random.default_rng(seed), unit) for seed in (1, 1, 2)
    )
    assert first.shape == (*size, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_metadata():
    assert len(STUFF) == 12
    for name, stuff in STUFF.items():
        assert stuff.name == name
        assert stuff.place in PLACES
        assert stuff.position.endswith(f"the {name}")


def test_noise_covers_the_range_and_is_smooth():
    field = noise(np.random.default_rng(0), 90, 120, 12.0)
    assert field.shape == (90, 120)
    assert field.min() < 60
    assert field.max() > 195
    assert np.abs(np.diff(field.astype(int), axis=1)).max() < 40


def test_mix_is_a_weighted_mean():
    low, high = np.full((2, 2), 50, np.uint8), np.full((2, 2), 150, np.uint8)
    assert abs(int(weighted_mean((1, low), (3, high))[0, 0]) - 125) <= 1
    assert weighted_mean((2, high), (0, low))[0, 0] == 150


def test_ramp_meets_its_stops():
    image = paint_ramp(np.uint8([[0, 255]]), [(1, 2, 3), (201, 102, 53)])
    np.testing.assert_array_equal(image, [[[1, 2, 3], [201, 102, 53]]])


def test_blend_is_exact_at_both_ends():
    under = np.full((1, 2, 3), 77, np.uint8)
    image = blend_layer(under, (10, 200, 30), np.uint8([[0, 255]]))
    np.testing.assert_array_equal(image, [[[77, 77, 77], [10, 200, 30]]])


def test_lines_stay_within_their_swing():
    line = curve(np.random.default_rng(3), 200, 50.0, 8.0, 20.0)
    assert line.shape == (200,)
    assert np.abs(line - 50.0).max() <= 8.0


def test_far_rows_are_squeezed():
    rows = recede(100, 0.5)
    assert rows[0] == 0
    assert rows[-1] <= 99
    steps = np.diff(rows)
    assert steps.min() >= 0
    assert steps[:10].sum() > steps[-10:].sum()


def test_backdrops_leave_no_pixel_unpainted():
    for seed in range(60):
        backdrop = draw_backdrop(40, 56, np.random.default_rng(seed))
        assert backdrop.labels.max() < len(STUFF)
        assert backdrop.image.any(axis=2).mean() > 0.95
