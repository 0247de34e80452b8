"""Scenes on disk: the layout of a data set, exact files, clear refusals."""

import cv2
import numpy as np
import pytest

from ovseg.errors import InputError
from ovseg.scenes.world import CLASSES, draw_scene
from ovseg.scenes.write import write_scenes


def test_files_hold_exactly_what_was_drawn(tmp_path):
    steps = []
    folder = write_scenes(tmp_path / "a" / "b", 3, 8, (32, 48), lambda *at: steps.append(at))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    for seed in (8, 9, 10):
        scene = draw_scene(seed, (32, 48))
        labels = cv2.imread(str(folder / "ann_dir" / f"{seed:07d}.png"), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(str(folder / "img_dir" / f"{seed:07d}.png"))[..., ::-1]
        np.testing.assert_array_equal(labels, scene.labels)
        np.testing.assert_array_equal(image, scene.image)
    assert tuple((folder / "classes.txt").read_text().splitlines()) == CLASSES


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InputError, match="taken"):
        write_scenes(tmp_path / "taken", 1, 0)
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize(
    ("count", "seed", "size"), [(0, 0, (32, 32)), (2, 2_099_999, (32, 32)), (1, 0, (8, 32))]
)
def test_nothing_is_written_for_illegal_arguments(tmp_path, count, seed, size):
    with pytest.raises(InputError):
        write_scenes(tmp_path / "out", count, seed, size)
    assert not (tmp_path / "out").exists()
