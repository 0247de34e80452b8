"""`ovseg prepare` and `tools/prepare_data.py`."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ovseg.cli import main
from tests.benchmark_files import write_benchmark

TOOL = Path(__file__).parents[2] / "tools" / "prepare_data.py"


def test_prepare_says_what_it_did(tmp_path, capsys):
    write_benchmark("coco_object", tmp_path)
    assert main(["prepare", "COCO-Object", "--root", str(tmp_path)]) == 0
    out = capsys.readouterr()
    assert "3 images with label maps" in out.out
    assert "3 files made, 0 were there already" in out.out
    assert "the official split has 5000 images: a result on these is called partial" in out.out
    assert out.err == ""
    assert main(["prepare", "coco_object", "--root", str(tmp_path)]) == 0
    assert "0 files made, 3 were there already" in capsys.readouterr().out


def test_check_reads_only_and_tells_by_its_status(tmp_path, capsys):
    write_benchmark("voc21", tmp_path)
    assert main(["prepare", "voc21", "--root", str(tmp_path), "--check"]) == 0
    assert "nothing is known to be wrong" in capsys.readouterr().out
    assert not list(tmp_path.rglob("ovseg_*.json"))
    path = min((tmp_path / "VOCdevkit/VOC2012/SegmentationClass").glob("*.png"))
    Image.new("L", (64, 48), 21).save(path)
    assert main(["prepare", "voc21", "--root", str(tmp_path), "--check"]) == 1
    assert "wrong: " in capsys.readouterr().out


def test_the_variable_stands_for_the_root_and_the_flag_wins(tmp_path, monkeypatch, capsys):
    write_benchmark("voc20", tmp_path / "there")
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path / "there"))
    assert main(["prepare", "voc20"]) == 0
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path / "nowhere"))
    assert main(["prepare", "voc20", "--root", str(tmp_path / "there")]) == 0
    capsys.readouterr()
    assert main(["prepare", "voc20"]) == 1
    err = capsys.readouterr().err
    assert "nowhere/VOCdevkit/VOC2012: Pascal VOC 2012 (20 objects) is not here" in err
    assert f"ovseg prepare voc20 --root {tmp_path / 'nowhere'}'" in err
    assert "OVSEG_DATA is" in err


@pytest.mark.parametrize("flags", [[], ["--check"]])
def test_missing_folders_exit_with_1_and_unknown_names_with_2(flags, tmp_path, capsys):
    assert main(["prepare", "cityscapes", "--root", str(tmp_path), *flags]) == 1
    assert "ovseg prepare cityscapes" in capsys.readouterr().err
    assert main(["prepare", "voc12", "--root", str(tmp_path), *flags]) == 2
    assert "voc20" in capsys.readouterr().err


def test_the_tool_is_the_verb(tmp_path):
    write_benchmark("voc20", tmp_path)
    done = subprocess.run(
        [sys.executable, str(TOOL), "voc20", "--root", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Pascal VOC 2012 (20 objects): 3 images" in done.stdout
