"""The code of docs/extending.md, as it stands there, on the bundled tiny models."""

import importlib
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ovseg
from ovseg.cli import main
from ovseg.errors import ConfigError
from ovseg.pipeline import build_pipeline
from ovseg.plugins import ENTRY_POINTS, import_plugin
from ovseg.scenes.world import SPLITS, draw_scene
from ovseg.zoo import model_entry

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")
SCENE = draw_scene(SPLITS["test"][0], (112, 160))
CLASS_NAMES = "sky, grass; lawn, house"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write every block of Python that begins with the name of its file."""
    folder = tmp_path_factory.mktemp("extending")
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == PAGE.count("```python")
    for name, text in blocks:
        (folder / name).write_text(text.replace('"configs/', f'"{ROOT}/configs/'))
    Image.fromarray(SCENE.image).save(folder / "scene.png")
    return folder


@pytest.fixture(autouse=True)
def _here(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(folder)


@pytest.fixture
def labels():
    """What `use.py` finds."""
    import_plugin("naclip")
    result = runpy.run_path("use.py")["result"]
    assert result.classes == ("sky", "grass", "house")
    assert result.labels.shape == SCENE.labels.shape
    return result.labels


def label_map(folder):
    return np.array(Image.open(Path(folder) / "scene.label.png"))


def test_the_head_in_python(labels):
    plain = ovseg.load("maskclip-tiny", device="cpu").segment(SCENE.image, CLASS_NAMES).labels
    assert (labels != plain).any()
    sky = SCENE.labels == ovseg.Vocabulary.builtin("scenes").classes.index("sky")
    assert (labels[sky] == 0).mean() > 0.9


def test_the_head_under_the_command_line(labels):
    (command,) = re.findall(r"^    ovseg segment (.*)$", PAGE, re.MULTILINE)
    words = [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', command)]
    assert main(["segment", *words, "--device", "cpu"]) == 0
    assert np.array_equal(label_map("out"), labels)


def test_the_head_in_a_configuration(labels):
    words = ["segment", "scene.png", "-c", CLASS_NAMES, "--device", "cpu", "-o", "configured"]
    assert main([*words, "--config", "naclip_scenes.py", "--trust-python-config"]) == 0
    assert np.array_equal(label_map("configured"), labels)


def test_the_entry_point_is_of_the_group_that_is_looked_at():
    assert f'[project.entry-points."{ENTRY_POINTS}"]' in PAGE


def test_the_head_computes_what_it_says():
    naclip = import_plugin("naclip")
    clip = build_pipeline(model_entry("maskclip-tiny").spec).clip
    tokens = clip.run_backbone(torch.rand(1, 3, 32, 48))
    features = naclip.NaClip(std=1.5).patch_features(clip, tokens)
    rows, columns = tokens.grid
    assert features.shape == (1, clip.embed_dim, rows, columns)
    keys, values = (clip.tower.heads_of(tokens, part)[0] for part in "kv")
    mixed = torch.zeros_like(values)
    for i in range(rows * columns):
        for head in range(len(keys)):
            logits = keys[head] @ keys[head, i] / keys.shape[-1] ** 0.5
            for j in range(rows * columns):
                y, x = i // columns - j // columns, i % columns - j % columns
                logits[j] += np.exp(-(y**2 + x**2) / (2 * 1.5**2))
            mixed[head, i] = logits.softmax(0) @ values[head]
    joined = mixed.transpose(0, 1).flatten(1)[None]
    expected = clip.tower.project(clip.tower.last.out(joined))[1][0]
    assert torch.allclose(features[0].flatten(1).T, expected, atol=1e-5)
    with pytest.raises(ConfigError, match=r"decode_head.std: std 0; expected above 0"):
        naclip.NaClip(std=0)


def test_the_refiner():
    import_plugin("smooth")
    plain = build_pipeline(model_entry("maskclip-tiny").spec)(SCENE.image, CLASS_NAMES).labels
    spec = {**model_entry("maskclip-tiny").fresh_spec(), "refiner": {"type": "SmoothRefiner"}}
    smooth = build_pipeline(spec)(SCENE.image, CLASS_NAMES).labels
    assert set(np.unique(smooth)) <= set(np.unique(plain))
    assert 0 < borders(smooth) < borders(plain)


def borders(labels):
    return int((labels[1:] != labels[:-1]).sum() + (labels[:, 1:] != labels[:, :-1]).sum())


def test_the_proposer():
    import_plugin("squares")
    spec = model_entry("mask-adapted-clip-tiny").fresh_spec()
    spec["decode_head"]["proposer"] = {"type": "SquaresProposer"}
    labels = build_pipeline(spec)(np.zeros((64, 64, 3), np.uint8), CLASS_NAMES).labels
    assert labels.shape == (64, 64)
    squares = importlib.import_module("squares").Squares(sides=2)
    request = type("Request", (), {"image_tensor": torch.zeros(3, 4, 6), "size": (4, 6)})
    masks = squares.propose(request).prob
    assert masks.sum(0).eq(1).all()
    assert masks.sum((1, 2)).tolist() == [6, 6, 6, 6]


def test_names_that_the_page_gives_as_examples():
    clip = build_pipeline(model_entry("maskclip-tiny").spec).clip
    tokens = clip.run_backbone(torch.rand(1, 3, 32, 48), ("block@-3",))
    cells = tokens.grid[0] * tokens.grid[1]
    assert clip.tower.dense_features(tokens, "csa").features.shape[2:] == tokens.grid
    assert clip.tower.attend_with(tokens, torch.eye(cells)[None]).shape[1] == cells
    for path in re.findall(r"`(ovseg/\S+\.py)`", PAGE.replace("naclip.py", "maskclip.py")):
        assert (ROOT / path).exists()
