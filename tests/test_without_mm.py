"""Everything but training, `ovseg test` and the plug-in runs where no package of OpenMMLab is."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder


class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mmengine", "mmseg", "mmcv"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())

import ovseg
from ovseg.cli import main

assert main(["scenes", "scenes", "--count", "2", "--seed", "2000000", "--size", "64x64"]) == 0
for model in ovseg.list_models("*tiny"):
    words = ["segment", "scenes/img_dir", "-c", "sky, grass; lawn", "-m", model, "-o", model]
    assert main([*words, "--refine", "pamr"]) == 0, model
assert main(["models"]) == 0
assert main(["check"]) == 0
result = ovseg.load("maskclip-tiny").segment("scenes/img_dir/2000000.png", ["sky", "sea"])
assert result.labels.shape == (64, 64)
assert main(["test", "absent.py"]) != 0
assert not {"mmengine", "mmseg", "mmcv"} & set(sys.modules)
"""


@pytest.mark.slow
def test_the_package_without_openmmlab(tmp_path):
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
