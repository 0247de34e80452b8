import numpy as np
import pytest
from PIL import Image

from ovseg.cli import main


def test_draws_segments_and_makes_one_sheet(capsys, tmp_path):
    assert main(["demo", "--count", "2", "--device", "cpu", "--models", "maskclip-tiny"]) == 0
    sheet = tmp_path / "demo" / "sheet.png"
    assert str(sheet.relative_to(tmp_path)) in capsys.readouterr().out
    assert Image.open(sheet).size[0] > 600
    names = {p.name for p in (tmp_path / "demo" / "maskclip-tiny").iterdir()}
    assert {"scene-2000000.label.png", "scene-2000001.overlay.png"} <= names
    image = np.asarray(Image.open(tmp_path / "demo" / "images" / "scene-2000000.png"))
    assert image.shape == (224, 224, 3)


@pytest.mark.parametrize(
    "options",
    [["--count", "0"], ["--count", "101"], ["--device", "gpu"], ["--models", "maskclip-tyny"]],
)
def test_bad_options(capsys, tmp_path, options):
    assert main(["demo", *options]) == 2
    assert not (tmp_path / "demo").exists()
