import numpy as np
import pytest

from ovseg.scenes.pen import Pen, around

RED = (200, 20, 40)
BLUE = (10, 30, 220)


def painted(pen):
    return pen.canvas[:, :, 3] == 255


def test_drawing_is_not_antialiased():
    pen = Pen(64, 20)
    pen.disc(0.5, 0.5, 0.4, RED)
    pen.curve(((0.1, 0.1), (0.5, 0.3), (0.9, 0.1)), BLUE, 0.05)
    colors = {tuple(pixel) for pixel in pen.canvas.reshape(-1, 4).tolist()}
    assert colors == {(0, 0, 0, 0), (*RED, 255), (*BLUE, 255)}


def test_a_disc_has_the_area_of_a_disc():
    pen = Pen(200)
    pen.disc(0.5, 0.5, 0.4, RED)
    assert painted(pen).mean() == pytest.approx(np.pi * 0.16, rel=0.02)


def test_x_runs_right_and_y_runs_down():
    pen = Pen(40)
    pen.rectangle(0.5, 0.0, 1.0, 0.5, RED)
    assert painted(pen)[5, 35]
    assert not painted(pen)[35, 5]
    assert painted(pen).mean() == pytest.approx(0.25, abs=0.04)


def test_mirror_swaps_left_and_right():
    plain, mirrored = Pen(200), Pen(200, mirror=True)
    for pen in (plain, mirrored):
        pen.polygon(((0.1, 0.1), (0.6, 0.2), (0.2, 0.9)), RED)
    differing = painted(plain)[:, ::-1] != painted(mirrored)
    assert differing.mean() < 0.02


@pytest.mark.parametrize("tilt", [0, 30, 45, 90, -120])
def test_a_tilted_unit_square_stays_whole(tilt):
    size = 100
    pen = Pen(size, tilt)
    pen.rectangle(0.0, 0.0, 1.0, 1.0, RED)
    turn = np.radians(tilt)
    side = 1 / (abs(np.cos(turn)) + abs(np.sin(turn)))
    assert painted(pen).mean() == pytest.approx(side**2, abs=0.03)


def test_tilt_turns_clockwise():
    pen = Pen(100, 90)
    pen.disc(0.5, 0.1, 0.08, RED)
    rows, columns = np.nonzero(painted(pen))
    assert columns.mean() == pytest.approx(89.5, abs=1)
    assert rows.mean() == pytest.approx(49.5, abs=1)


def test_inside_keeps_to_what_was_painted():
    pen = Pen(64)
    pen.disc(0.5, 0.5, 0.3, RED)
    before = painted(pen).copy()
    with pen.inside():
        pen.rectangle(0.0, 0.5, 1.0, 1.0, BLUE)
    np.testing.assert_array_equal(painted(pen), before)
    assert tuple(pen.canvas[45, 32]) == (*BLUE, 255)
    assert tuple(pen.canvas[20, 32]) == (*RED, 255)
    assert not pen.canvas[~before].any()


def test_outline_darkens_only_the_rim():
    pen = Pen(64)
    pen.disc(0.5, 0.5, 0.4, RED)
    before = pen.canvas.copy()
    pen.outline(0.5)
    changed = (pen.canvas != before).any(axis=2)
    assert 60 < changed.sum() < 400
    assert (pen.canvas[changed][:, :3] <= np.array(RED) // 2).all()
    np.testing.assert_array_equal(pen.canvas[:, :, 3], before[:, :, 3])


@pytest.mark.parametrize("factor", [2, 4])
def test_shrink_leaves_no_dark_fringe(factor):
    pen = Pen(20 * factor)
    pen.disc(0.5, 0.5, 0.37, RED)
    rgb, alpha = pen.shrink(factor)
    assert rgb.shape == (20, 20, 3)
    assert alpha.shape == (20, 20)
    assert ((alpha > 0) & (alpha < 255)).any()
    assert (rgb[alpha > 0] == RED).all()
    assert not rgb[alpha == 0].any()


def test_shrink_is_the_exact_mean():
    pen = Pen(4)
    pen.canvas[:2, :2] = [[(10, 0, 0, 255), (21, 0, 0, 255)], [(0, 0, 0, 0), (0, 0, 0, 0)]]
    rgb, alpha = pen.shrink(2)
    assert tuple(rgb[0, 0]) == (16, 0, 0)
    assert alpha[0, 0] == 127
    assert not alpha[1:].any()


def test_rounded_corners_cut_the_corner_only():
    sharp, round_ = Pen(100), Pen(100)
    sharp.rectangle(0.1, 0.1, 0.9, 0.9, RED)
    round_.rectangle(0.1, 0.1, 0.9, 0.9, RED, corner=0.2)
    lost = painted(sharp) & ~painted(round_)
    assert lost.mean() == pytest.approx((4 - np.pi) * 0.04, abs=0.01)
    assert not (painted(round_) & ~painted(sharp)).any()


def test_around_gives_open_arcs_and_closed_turns():
    arc = around(0.5, 0.5, 0.2, 0.1, 0, 90)
    np.testing.assert_allclose(arc[[0, -1]], [(0.7, 0.5), (0.5, 0.6)], atol=1e-9)
    turn = around(0.5, 0.5, 0.2, 0.1)
    assert len({tuple(point) for point in np.round(turn, 6).tolist()}) == len(turn)
