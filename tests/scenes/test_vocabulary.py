"""The synthetic world's vocabulary files agree with its classes."""

from pathlib import Path

import pytest

import ovseg.scenes
from ovseg.scenes.vocabulary import color_lines, scene_lines, write_vocabularies
from ovseg.scenes.world import CLASSES

SHIPPED = Path(ovseg.scenes.__file__).parents[1] / "vocabularies"


@pytest.mark.parametrize("name", ["scenes.txt", "scenes_colours.txt"])
def test_the_shipped_files_are_up_to_date(tmp_path, name):
    write_vocabularies(tmp_path)
    assert (SHIPPED / name).read_text() == (tmp_path / name).read_text(), (
        "run python -m ovseg.scenes.vocabulary"
    )


def test_lines():
    assert scene_lines() == tuple(f"{name}: {name}" for name in CLASSES)
    lines = color_lines()
    assert len(set(lines)) == len(lines)
    assert {"sky", "red car", "cactus"} <= set(lines)
    assert "car" not in lines


def test_the_public_face_is_lazy_and_complete():
    for name in ovseg.scenes.__all__:
        assert getattr(ovseg.scenes, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'draw_seen'"):
        ovseg.scenes.draw_seen  # noqa: B018
