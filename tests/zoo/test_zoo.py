import re

import pytest

from ovseg.errors import ConfigError
from ovseg.zoo import DEFAULT_MODEL, MODELS, list_models, model_entry


def test_lists_by_pattern():
    assert list_models() == sorted(MODELS)
    assert list_models("maskclip-t*") == ["maskclip-tiny"]
    expected = {n for n in MODELS if n.startswith("maskclip-vit-b16")}
    assert set(list_models("maskclip-vit-?16*")) == expected
    assert list_models("nothing") == []


def test_an_unknown_name_gets_the_closest_ones():
    with pytest.raises(ConfigError, match=r"'maskclip-vitb16'.*maskclip-vit-b16.*ovseg models"):
        model_entry("maskclip-vitb16")


def test_the_default_is_no_demo():
    assert model_entry(DEFAULT_MODEL).needs() != "nothing, it is bundled"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_entry_is_complete(name):
    model = model_entry(name)
    assert model.summary
    assert model.method
    assert model.license()
    assert model.spec["backbone"]["pretrained"]
    for weights in model.weights:
        assert weights.asset or weights.hub or weights.url or (weights.page and weights.files)
        assert weights.sha256 is None or re.fullmatch("[0-9a-f]{64}", weights.sha256)
        if "openaipublic" in (weights.url or ""):
            assert weights.sha256 in weights.url


def test_a_fresh_spec_may_be_changed():
    model_entry("maskclip-tiny").fresh_spec()["backbone"]["model"] = "other"
    assert model_entry("maskclip-tiny").spec["backbone"]["model"] == "asset:clip_tiny.json"


def test_the_bundled_weights_are_there():
    (weights,) = model_entry("maskclip-tiny").weights
    assert weights.path().is_file()
    assert model_entry("maskclip-tiny").needs() == "nothing, it is bundled"


@pytest.mark.parametrize("cache", ["hub", "own"])
def test_finds_weights_where_they_are_kept(tmp_path, monkeypatch, cache):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path / "own"))
    (weights,) = model_entry("maskclip-vit-b16-laion2b").weights
    assert weights.path() is None
    repository = "models--laion--CLIP-ViT-B-16-laion2B-s34B-b88K/snapshots/1"
    folder = {
        "hub": tmp_path / "hub" / repository,
        "own": tmp_path / "own/weights/laion--CLIP-ViT-B-16-laion2B-s34B-b88K",
    }[cache]
    folder.mkdir(parents=True)
    (folder / "open_clip_model.safetensors").touch()
    assert weights.path() == folder / "open_clip_model.safetensors"


def test_finds_a_file_that_has_only_an_address(tmp_path, monkeypatch):
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    head = model_entry("clip-dinoiser-vit-b16").weights[-1]
    assert head.path() is None
    target = head.target()
    target.parent.mkdir(parents=True)
    target.touch()
    assert head.path() == target


def test_finds_a_file_that_was_put_there_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    (weights,) = model_entry("declip-eva-b16").weights
    assert weights.path() is None
    assert weights.source() == "github.com/xiaomoguhz/DeCLIP"
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / weights.files[0]).touch()
    assert weights.path().parent == tmp_path / "weights"


def test_models_without_their_bundled_weights_have_no_name():
    for model in MODELS.values():
        assert all(w.path() for w in model.weights if w.asset)
