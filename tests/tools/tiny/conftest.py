import pytest

from ovseg.scenes import SPLITS
from tools.tiny.scene_store import SceneStore


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Six small training scenes."""
    return SceneStore(tmp_path_factory.mktemp("scenes"), SPLITS["train"][:6], 64)
