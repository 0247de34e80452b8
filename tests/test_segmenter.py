import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import ovseg
import ovseg.segmenter
from ovseg.errors import CheckpointError, ConfigError, InputError, PromptError
from ovseg.segmenter import choose_vocabulary, load_resolved, resolve
from ovseg.weights import read
from ovseg.weights.download import ASSETS
from ovseg.zoo import model_entry

CLASS_NAMES = ["sky", "grass; lawn", "red car"]


def spec_of(*request, **settings):
    return resolve(*request, device="cpu", **settings).spec


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
    assert spec_of("maskclip-tiny", refine="pamr")["refiner"] == {"type": "PamrRefiner"}
    assert spec_of("maskclip-tiny", refine="none")["refiner"] is None
    assert "refiner" not in spec_of("maskclip-tiny")
    assert spec_of("maskclip-vit-b16", refine="sam")["refiner"]["model"] == "vit_b"
    assert spec_of("maskclip-tiny", refine="sam")["refiner"]["model"] == "asset:sam_tiny.json"
    with pytest.raises(ConfigError, match="none, pamr, sam"):
        spec_of("maskclip-tiny", refine="crf")


def test_a_configuration_and_a_checkpoint(tmp_path):
    spec = model_entry("maskclip-tiny").fresh_spec()
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"model": spec}))
    assert spec_of(path)["backbone"] == spec["backbone"]
    weights = tmp_path / "own.safetensors"
    with pytest.raises(CheckpointError, match="no such file of weights"):
        spec_of(path, weights)
    weights.touch()
    assert spec_of(path, weights)["backbone"]["pretrained"] == str(weights)
    spec["backbone"]["tuned"] = "tower.safetensors"
    path.write_text(json.dumps({"model": spec}))
    assert "tuned" in spec_of(path)["backbone"]
    assert "tuned" not in spec_of(path, weights)["backbone"]
    assert spec_of(path, test_cfg={"threshold": 0.3})["test_cfg"]["threshold"] == 0.3


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
    spec = spec_of("clip-dinoiser-vit-b16", head)
    assert spec["decode_head"]["pretrained"] == str(head)
    assert spec["backbone"] == own["backbone"]
    spec = spec_of("clip-dinoiser-vit-b16", clip)
    assert spec["backbone"]["pretrained"] == str(clip)
    assert spec["decode_head"] == own["decode_head"]
    assert spec_of("maskclip-vit-b16", head)["backbone"]["pretrained"] == str(head)


def test_a_request_is_resolved_before_anything_is_loaded(model):
    resolved = resolve("maskclip-vit-b16", device="cpu", refine="sam", test_cfg={"threshold": 0.2})
    assert (resolved.name, resolved.device) == ("maskclip-vit-b16", "cpu")
    assert resolved.precision == "fp32"
    assert [each.name for each in resolved.weights] == ["OpenAI CLIP ViT-B/16", "SAM ViT-B"]
    assert resolved.threshold == 0.2
    assert resolve("maskclip-tiny", device="cpu") == model.resolved
    assert load_resolved(model.resolved).protocol() == model.protocol()


def test_loading_settles_every_question_once(monkeypatch):
    asked = []
    for name in ("choose_device", "choose_precision", "model_entry"):
        real = getattr(ovseg.segmenter, name)

        def counted(*args, name=name, real=real):
            asked.append(name)
            return real(*args)

        monkeypatch.setattr(f"ovseg.segmenter.{name}", counted)
    ovseg.load("maskclip-tiny", device="cpu")
    assert sorted(asked) == ["choose_device", "choose_precision", "model_entry"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("maskclip-tiny", "clip_tiny"),
        ("clip-dinoiser-tiny", "clip_tiny"),
        ("clip-dinoiser-tiny", "clip_dinoiser_tiny"),
        ("mask-adapted-clip-tiny", "maskformer_tiny"),
    ],
)
def test_a_checkpoint_is_looked_at_once_and_read_once(name, file, tmp_path, monkeypatch):
    path = tmp_path / f"{file}.safetensors"
    shutil.copy(ASSETS / path.name, path)
    headers, reads = [], []
    read_header = read._read_header
    monkeypatch.setattr(
        read, "_read_header", lambda p, start: headers.append(p) or read_header(p, start)
    )
    monkeypatch.setattr(
        safetensors.torch, "load_file", lambda p, *_: reads.append(p) or load_file(p)
    )
    resolved = resolve(name, path, "cpu")
    assert reads == []
    assert headers in ([], [path])
    load_resolved(resolved)
    assert reads.count(path) == 1


def test_a_file_for_several_parts_of_a_model_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "adapted.safetensors"
    state = load_file(ASSETS / "clip_tiny.safetensors")
    state |= load_file(ASSETS / "mask_prompts_tiny.safetensors")
    save_file(state, path)
    reads = []
    read_checkpoint = read.read_checkpoint
    monkeypatch.setattr(
        read, "read_checkpoint", lambda p, **more: reads.append(p) or read_checkpoint(p, **more)
    )
    model = ovseg.load("mask-adapted-clip-tiny", path, device="cpu")
    assert reads.count(path) == 1
    own = ovseg.load("mask-adapted-clip-tiny", device="cpu")
    hashes = [m.protocol()["head_weights_hash"] for m in (model, own)]
    assert hashes[0] == hashes[1]


def test_a_pickled_model_is_loaded_anew_by_its_request(model, pixels):
    data = pickle.dumps(model)
    assert len(data) < 10_000
    other = pickle.loads(data)  # noqa: S301 - our own bytes
    assert other.resolved == model.resolved
    assert np.array_equal(
        other.segment(pixels, CLASS_NAMES).labels, model.segment(pixels, CLASS_NAMES).labels
    )


def test_threads_share_a_model(model, pixels):
    lists = [[f"thing {number}", "sky", "red car"] for number in range(6)]
    expected = [model.segment(pixels, words) for words in lists]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda words: model.segment(pixels, words), lists * 3))
    for one, result in zip(expected * 3, found, strict=True):
        assert np.array_equal(one.labels, result.labels)
        assert np.array_equal(one.scores, result.scores)


def test_names_in_a_list_are_understood_once(model, pixels, monkeypatch):
    model.segment(pixels, ["a pond", "a bridge"])
    monkeypatch.setattr("ovseg.prompts.vocabulary.parse_entry", None)
    assert model.segment(pixels, ["a pond", "a bridge"]).classes == ("a pond", "a bridge")
    assert model.vocabulary(("a pond", "a bridge")) is model.vocabulary(["a pond", "a bridge"])
