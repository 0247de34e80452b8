"""`ovseg scenes`: the layout on disk, repeatable, with checked arguments."""

import argparse
import json

import pytest

from ovseg.cli import main, scenes
from ovseg.errors import ConfigError
from ovseg.scenes.world import CLASSES, SPLITS, VERSION


def call(*words):
    parser = argparse.ArgumentParser()
    scenes.add_arguments(parser)
    return scenes.run(parser.parse_args([str(word) for word in words]))


def test_writes_images_labels_and_classes_again_and_again(tmp_path, capsys):
    out = tmp_path / "drawn"
    assert call(out, "--count", 3, "--seed", 5, "--size", "24x32") == 0
    assert "seeds 5 to 7" in capsys.readouterr().out
    files = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    stems = [{p.stem for p in files if p.parent.name == name} for name in ("img_dir", "ann_dir")]
    assert stems[0] == stems[1] == {"0000005", "0000006", "0000007"}
    assert len(files) == 8
    assert (out / "classes.txt").read_text().splitlines() == list(CLASSES)
    about = json.loads((out / "scenes.json").read_text())
    assert about == {"world": VERSION, "seeds": [5, 7], "size": [24, 32]}
    assert call(out, "--count", 3, "--seed", 5, "--size", "24X32") == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files


def test_the_default_seed_begins_the_validation_split(tmp_path):
    assert call(tmp_path, "--count", 1, "--size", "16x16") == 0
    assert (tmp_path / "img_dir" / f"{SPLITS['val'][0]}.png").exists()


@pytest.mark.parametrize("size", ["224", "224,224", "ax3", "-4x8", "", "8x900000"])
def test_an_unreadable_size_is_explained(tmp_path, size):
    with pytest.raises(ConfigError, match="such as 224x320"):
        call(tmp_path, "--count", 1, f"--size={size}")


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (-3, 0), (1, -1), (2, 2_099_999)])
def test_seeds_outside_the_world_are_refused(tmp_path, count, seed):
    with pytest.raises(ConfigError):
        call(tmp_path / "out", f"--count={count}", f"--seed={seed}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", ["--size=224", "--size=8x32", "--seed=-1", "--count=0"])
def test_unusable_numbers_are_a_mistake_of_usage(tmp_path, capsys, wrong):
    assert main(["scenes", str(tmp_path / "out"), "--count=1", wrong]) == 2
    assert "expected" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_a_failure(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["scenes", str(tmp_path / "file"), "--count", "1", "--size", "16x16"]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err
