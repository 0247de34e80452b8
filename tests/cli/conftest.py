"""The command line in-process, with the bundled model loaded once for all tests."""

import json

import numpy as np
import pytest
from PIL import Image

import ovseg.pipeline
from ovseg.cli import main

_built = {}


@pytest.fixture(scope="session")
def build_once():
    """`build_pipeline` that builds each model once a session."""
    build = ovseg.pipeline.build_pipeline

    def cached(spec, **options):
        key = json.dumps([spec, options], sort_keys=True)
        if key not in _built:
            _built[key] = build(spec, **options)
        return _built[key]

    return cached


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch, build_once):
    """An empty current folder, a cache of its own, no variables, no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ovseg.pipeline.build_pipeline", build_once)
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    for name in ("OVSEG_DEVICE", "OVSEG_PRECISION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def image():
    """Write a small image."""

    def write(path, size=(48, 32), seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def photos(tmp_path, image):
    """A folder of three good images."""
    folder = tmp_path / "photos"
    for i, name in enumerate(["a.jpg", "b.png", "deep/c.png"]):
        image(folder / name, seed=i)
    return folder


@pytest.fixture
def segment(capfd):
    """Run `ovseg segment` with the tiny model; return status, stdout and stderr."""

    def run(*words, classes="sky, grass; lawn, red car", model="maskclip-tiny"):
        argv = ["segment", *map(str, words), "-o", "out"]
        argv += ["-c", classes] if classes is not None else []
        argv += ["-m", model] if model else []
        status = main(argv)
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def no_model(monkeypatch):
    """Fail when a model is built: what is wrong must show before that."""

    def refuse(*_, **__):
        raise AssertionError("a model was built")

    monkeypatch.setattr("ovseg.pipeline.build_pipeline", refuse)


@pytest.fixture
def lines(tmp_path):
    """Read a JSON-lines file of the output folder."""

    def read(name):
        path = tmp_path / "out" / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read
