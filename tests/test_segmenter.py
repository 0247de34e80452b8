import json

import numpy as np
import pytest
import torch
from PIL import Image

import ovseg
from ovseg.errors import CheckpointError, ConfigError, InputError, PromptError
from ovseg.segmenter import choose_vocabulary, model_spec
from ovseg.zoo import model_entry

CLASS_NAMES = ["sky", "grass; lawn", "red car"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("OVSEG_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield ovseg.load("maskclip-tiny", device="cpu")
    patch.undo()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


def test_one_image_gives_one_result(model, pixels):
    result = model.segment(pixels, CLASS_NAMES)
    assert result.labels.shape == (40, 60)
    assert result.classes == ("sky", "grass", "red car")
    assert result.scores.dtype == np.float32
    assert 0 < result.scores.min() <= result.scores.max() <= 1
    assert result.overlay().shape == (40, 60, 3)
    assert repr(model) == "Segmenter('maskclip-tiny', device='cpu', precision='fp32')"


def test_every_kind_of_source_gives_the_same_result(model, pixels, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    results = model.segment([pixels, Image.fromarray(pixels), path, str(path)], CLASS_NAMES)
    assert len(results) == 4
    for result in results[1:]:
        assert np.array_equal(result.labels, results[0].labels)
    assert results[3].source == str(path)


@pytest.mark.parametrize(
    "classes",
    ["sky, grass; lawn, red car", tuple(CLASS_NAMES), ovseg.Vocabulary.from_names(CLASS_NAMES)],
)
def test_every_way_to_give_the_words(model, pixels, classes):
    expected = model.segment(pixels, CLASS_NAMES)
    assert np.array_equal(model.segment(pixels, classes).labels, expected.labels)


def test_words_are_encoded_once(model, pixels, monkeypatch):
    model.segment(pixels, ["a new word", "another one"])

    def refuse(*_, **__):
        raise AssertionError("encoded again")

    monkeypatch.setattr("ovseg.prompts.text_bank.TextBank.encode", refuse)
    model.segment([pixels, pixels], ["a new word", "another one"])


def test_background_and_palette(model, pixels):
    result = model.segment(
        pixels, CLASS_NAMES, background="wall; floor", palette=[(0, 0, 0)] * 3 + [(255, 0, 0)]
    )
    assert result.classes == ("background", *("sky", "grass", "red car"))
    assert result.colors[3] == (255, 0, 0)


def test_bad_images_and_words(model, pixels):
    with pytest.raises(InputError):
        model.segment(pixels.astype(np.int64), CLASS_NAMES)
    with pytest.raises(PromptError):
        model.segment(pixels, [])


def test_a_threshold_brings_a_background(pixels):
    model = ovseg.load("maskclip-tiny", device="cpu", test_cfg={"threshold": 0.999})
    result = model.segment(pixels, CLASS_NAMES)
    assert result.classes[0] == "background"
    assert (result.labels[result.scores < 0.999] == 0).all()


def test_refining_changes_only_the_spec():
    assert model_spec("maskclip-tiny", refine="pamr")["refiner"] == {"type": "PamrRefiner"}
    assert model_spec("maskclip-tiny", refine="none")["refiner"] is None
    assert "refiner" not in model_spec("maskclip-tiny")
    assert model_spec("maskclip-vit-b16", refine="sam")["refiner"]["model"] == "vit_b"
    assert model_spec("maskclip-tiny", refine="sam")["refiner"]["model"] == "asset:sam_tiny.json"
    with pytest.raises(ConfigError, match="none, pamr, sam"):
        model_spec("maskclip-tiny", refine="crf")


def test_a_configuration_and_a_checkpoint(tmp_path):
    spec = model_entry("maskclip-tiny").fresh_spec()
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"model": spec}))
    assert model_spec(path)["backbone"] == spec["backbone"]
    weights = tmp_path / "own.safetensors"
    with pytest.raises(CheckpointError, match="no such file of weights"):
        model_spec(path, weights)
    weights.touch()
    assert model_spec(path, weights)["backbone"]["pretrained"] == str(weights)
    spec["backbone"]["tuned"] = "tower.safetensors"
    path.write_text(json.dumps({"model": spec}))
    assert "tuned" in model_spec(path)["backbone"]
    assert "tuned" not in model_spec(path, weights)["backbone"]
    assert model_spec(path, test_cfg={"threshold": 0.3})["test_cfg"]["threshold"] == 0.3


def test_a_wrong_device_shows_before_the_configuration_is_read():
    with pytest.raises(ConfigError, match="device"):
        ovseg.load("nothing.json", device="cuda:99")


def test_absent_weights_are_named_with_their_source(tmp_path, monkeypatch):
    for name in ("HF_HUB_CACHE", "OVSEG_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    with pytest.raises(CheckpointError) as caught:
        ovseg.load("maskclip-vit-b16", device="cpu")
    for words in ("ViT-B-16.pt", "335 MB", "MIT", str(tmp_path), "maskclip-tiny", "--checkpoint"):
        assert words in str(caught.value)


def test_weights_without_an_address_name_the_page_of_their_authors(tmp_path, monkeypatch):
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        ovseg.load("declip-eva-b16", device="cpu")
    place = str(tmp_path / "weights" / "DeCLIP_evab_dinov2B_csa_560_0.25_seg.pt")
    for words in ("no address", place, "github.com/xiaomoguhz/DeCLIP", "--checkpoint"):
        assert words in str(caught.value)


def test_a_threshold_needs_a_background():
    assert choose_vocabulary("sky, sea").classes == ("sky", "sea")
    assert choose_vocabulary("sky, sea", threshold=0.2).classes[0] == "background"
    assert choose_vocabulary("sky, background", threshold=0.2).classes == ("sky", "background")
    assert len(choose_vocabulary("sky, sea, Sky", merge_duplicates=True).classes) == 2


def test_a_precision_that_the_device_cannot_do_falls_back(model):
    with pytest.warns(UserWarning, match="fp32 is used"):
        other = ovseg.load("maskclip-tiny", device="cpu", precision="fp16")
    assert other.precision == "fp32"
    assert other.protocol() == model.protocol()


def test_strict_refuses_words_that_are_too_long(model):
    words = ovseg.Vocabulary.from_names(["sky", "very " * 100 + "long"])
    with pytest.raises(PromptError, match="long"):
        model.prepare(words, strict=True)


def test_a_checkpoint_goes_to_the_part_that_its_keys_name(tmp_path):
    head = tmp_path / "last.pt"
    torch.save({"model_state_dict": {"bkg_decoder.bias": torch.zeros(1)}}, head)
    clip = tmp_path / "clip.pt"
    torch.save({"logit_scale": torch.zeros(())}, clip)
    own = model_entry("clip-dinoiser-vit-b16").spec
    spec = model_spec("clip-dinoiser-vit-b16", head)
    assert spec["decode_head"]["pretrained"] == str(head)
    assert spec["backbone"] == own["backbone"]
    spec = model_spec("clip-dinoiser-vit-b16", clip)
    assert spec["backbone"]["pretrained"] == str(clip)
    assert spec["decode_head"] == own["decode_head"]
    assert model_spec("maskclip-vit-b16", head)["backbone"]["pretrained"] == str(head)
