import importlib.util
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "tools" / "show_trident.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("show_trident", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_draws_six_stages(script, tmp_path):
    out = tmp_path / "stages.jpg"
    script.main(["--seed", "1000000", "--at", "223", "0", "-o", str(out)])
    width, height = Image.open(out).size
    assert width > 3 * 260
    assert height > 2 * 260
