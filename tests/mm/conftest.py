"""What the tests of the mm room share: one configuration, one cache of words."""

import os
import socket
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

import ovseg.mm  # noqa: F401 - registers

CONFIG = Path(__file__).parents[2] / "configs" / "maskclip" / "maskclip_tiny_scenes.py"


@pytest.fixture(scope="session", autouse=True)
def _scope():
    """Look names up in mmseg's registries, as mmseg's tools do."""
    init_default_scope("mmseg")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """Keep embedded words out of the user's cache."""
    old = os.environ.get("OVSEG_CACHE")
    os.environ["OVSEG_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["OVSEG_CACHE"]
    if old is not None:
        os.environ["OVSEG_CACHE"] = old


@pytest.fixture
def config(config_path):
    """Return the tiny configuration; changes stay in the test."""
    return Config.fromfile(config_path)


@pytest.fixture(scope="session")
def config_path():
    return str(CONFIG)


@pytest.fixture
def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
