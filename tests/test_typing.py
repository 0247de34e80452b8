"""What a type checker says of a program that uses the package."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PROGRAM = """
from pathlib import Path

import ovseg

model = ovseg.load("maskclip-tiny")

one: ovseg.Segmentation = model.segment("a.png", ["cat"])
paths: list[str] = ["a.png", "b.png"]
names: list[ovseg.Segmentation] = model.segment(paths, ["cat"])
files: list[ovseg.Segmentation] = model.segment([Path("a.png")], "cat, dog")
"""


def check(folder, program):
    """What mypy says of a program, by the package's settings and what it kept of `make lint`."""
    file = folder / "program.py"
    file.write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", file], capture_output=True, text=True, cwd=ROOT
    )
    assert not done.stderr
    return done.stdout


def test_a_list_of_paths_type_checks(tmp_path):
    said = check(tmp_path, PROGRAM)
    assert "Success" in said, said


def test_a_wrong_argument_does_not(tmp_path):
    said = check(tmp_path, 'import ovseg\n\novseg.load("maskclip-tiny").segment(3.5, ["cat"])\n')
    assert "[call-overload]" in said, said
