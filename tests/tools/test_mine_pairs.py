"""The tool that writes pairs, over drawn scenes and over captioned images."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image

from ovseg.scenes.world import draw_scene
from ovseg.training.region_pairs import read_pairs

TOOL = Path(__file__).parents[2] / "tools" / "mine_pairs.py"
MODEL = {
    "type": "OpenVocabSegmentor",
    "backbone": {
        "type": "ClipBackbone",
        "model": "asset:clip_tiny",
        "pretrained": "asset:clip_tiny",
    },
    "decode_head": {
        "type": "MaskAdaptedClipHead",
        "prompts": False,
        "proposer": {
            "type": "ComponentProposer",
            "head": {"type": "MaskClipHead", "temperature": 40.0},
        },
    },
    "templates": "photo",
    "test_cfg": {"mode": "whole", "short_side": 112},
}


@pytest.fixture
def mine():
    spec = importlib.util.spec_from_file_location("mine_pairs", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main([str(word) for word in words])


def test_drawn_scenes(mine, tmp_path):
    assert mine(tmp_path, "--scenes", 1, "--side", 48) == 0
    pairs = read_pairs(tmp_path / "pairs.tsv")
    assert {pair.title for pair in pairs} <= {region.name for region in draw_scene(0).regions}
    assert Image.open(pairs[0].filepath).size == (48, 48)


def test_drawn_scenes_with_what_a_model_proposes(mine, tmp_path):
    (tmp_path / "model.json").write_text(json.dumps(MODEL))
    words = ["--scenes", 2, "--side", 48]
    assert mine(tmp_path / "true", *words) == 0
    assert mine(tmp_path / "both", *words, "--config", tmp_path / "model.json") == 0
    true, both = (read_pairs(tmp_path / name / "pairs.tsv") for name in ("true", "both"))
    assert len(both) > len(true)
    assert {pair.title for pair in both} == {pair.title for pair in true}


def test_a_model_that_proposes_nothing(mine, tmp_path, capsys):
    (tmp_path / "model.json").write_text(
        json.dumps(MODEL | {"decode_head": {"type": "MaskClipHead"}})
    )
    assert mine(tmp_path / "out", "--scenes", 1, "--config", tmp_path / "model.json") == 1
    assert "the model proposes no masks" in capsys.readouterr().err


@pytest.fixture
def captioned(tmp_path):
    """A drawn image with captions in COCO's layout, and a model that proposes masks."""
    scene = draw_scene(3)
    Image.fromarray(scene.image).save(tmp_path / "a.png")
    names = [region.name for region in scene.regions]
    content = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "no-nouns.png"}],
        "annotations": [{"image_id": 7, "caption": f"There is a {name}."} for name in names]
        + [{"image_id": 8, "caption": "Up and away"}],
    }
    (tmp_path / "captions.json").write_text(json.dumps(content))
    (tmp_path / "model.json").write_text(json.dumps(MODEL))
    words = ["--images", tmp_path, "--captions", tmp_path / "captions.json"]
    return [*words, "--config", tmp_path / "model.json"], names


@pytest.mark.slow
def test_captions(mine, captioned, tmp_path):
    words, names = captioned
    assert mine(tmp_path / "out", *words, "--max-per-image", 2) == 0
    pairs = read_pairs(tmp_path / "out" / "pairs.tsv")
    assert 0 < len(pairs) <= 2
    assert all(any(pair.title in name for name in names) for pair in pairs)


def test_a_broken_image_is_left_out(mine, captioned, tmp_path, capsys):
    words, _ = captioned
    content = json.loads((tmp_path / "captions.json").read_text())
    content["images"].insert(0, {"id": 6, "file_name": "cut.png"})
    content["annotations"].insert(0, {"image_id": 6, "caption": "A red car."})
    (tmp_path / "captions.json").write_text(json.dumps(content))
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:600])
    assert mine(tmp_path / "out", *words) == 0
    assert read_pairs(tmp_path / "out" / "pairs.tsv")
    assert "left out" in capsys.readouterr().err


def test_captions_of_another_layout(mine, captioned, tmp_path, capsys):
    (tmp_path / "captions.json").write_text("[1]")
    assert mine(tmp_path / "out", *captioned[0]) == 1
    assert "expected a JSON of COCO's captions" in capsys.readouterr().err
