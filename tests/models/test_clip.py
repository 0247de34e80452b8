from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from ovseg.errors import CheckpointError, ConfigError, PromptError
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.weights.read import sha256
from tests.conftest import TINY_CLIP


@pytest.fixture(scope="module")
def encoder(tiny_clip_files) -> ClipEncoder:
    return build_clip(*tiny_clip_files)


def test_attributes(encoder, tiny_clip_files) -> None:
    assert encoder.name == "tiny"
    assert (encoder.patch_size, encoder.embed_dim, encoder.context_length) == (8, 16, 24)
    assert encoder.weights_hash == sha256(tiny_clip_files[1])
    assert encoder.causal_text
    assert encoder.normalization[0] == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert not encoder.training


def test_weights_are_those_of_the_file(encoder, tiny_clip_files) -> None:
    state = load_file(tiny_clip_files[1])
    assert encoder.model.state_dict().keys() == state.keys()
    assert all(torch.equal(v, state[k]) for k, v in encoder.model.state_dict().items())


def test_half_precision_weights_are_run_in_full(tiny_clip_files, tmp_path: Path) -> None:
    half = {name: value.half() for name, value in load_file(tiny_clip_files[1]).items()}
    save_file(half, tmp_path / "half.safetensors")
    encoder = build_clip(tiny_clip_files[0], tmp_path / "half.safetensors")
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert torch.equal(encoder.model.visual.proj, half["visual.proj"].float())


def test_a_tuned_image_tower_lies_over_the_whole_model(tiny_clip_files, tmp_path: Path) -> None:
    config, whole = tiny_clip_files
    tower = {k: v + 1 for k, v in load_file(whole).items() if k.startswith("visual.")}
    path = tmp_path / "tuned.safetensors"
    save_file(tower, path)
    plain, tuned = build_clip(config, whole), build_clip(config, whole, tuned=path)
    for name, value in tuned.model.state_dict().items():
        assert torch.equal(value, tower.get(name, plain.model.state_dict()[name]))
    assert tuned.weights_hash not in (plain.weights_hash, sha256(path))
    with pytest.raises(CheckpointError, match="beside the image encoder: ln_final.bias"):
        build_clip(config, whole, tuned=whole)
    del tower["visual.proj"]
    save_file(tower, path)
    with pytest.raises(CheckpointError, match=r"1 missing.*visual\.proj"):
        build_clip(config, whole, tuned=path)


def test_random_weights_have_a_hash_of_their_bytes() -> None:
    torch.manual_seed(0)
    first = build_clip(TINY_CLIP, None)
    torch.manual_seed(0)
    second = build_clip(TINY_CLIP, None)
    other = build_clip(TINY_CLIP, None)
    assert first.weights_hash == second.weights_hash != other.weights_hash
    assert len(first.weights_hash) == 64


@pytest.mark.parametrize("size", [(32, 32), (33, 17), (1, 1), (8, 41)])
def test_padding_right_and_below(tiny_clip_files, size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size)
    height, width = size
    for pad in ("before", "after"):
        encoder = build_clip(*tiny_clip_files, pad_mode=pad, normalization="half")
        out = encoder.pad_and_normalize(images)
        assert out.shape[-2] % 8 == out.shape[-1] % 8 == 0
        torch.testing.assert_close(out[..., :height, :width], images * 2 - 1)
        margin = out.clone()
        margin[..., :height, :width] = -1 if pad == "before" else 0
        assert torch.equal(margin, torch.full_like(out, -1.0 if pad == "before" else 0.0))


def test_padding_around_to_multiples_of_16_of_which_whole_patches_are_seen(tiny_clip_files) -> None:
    encoder = build_clip(*tiny_clip_files, pad_mode="around", normalization="half")
    images = torch.rand(1, 3, 13, 32)
    expected = torch.nn.functional.pad(images * 2 - 1, (0, 0, 1, 2))
    torch.testing.assert_close(encoder.pad_and_normalize(images), expected)
    encoder.tower.patch_size = 12
    seen = encoder.pad_and_normalize(images)
    torch.testing.assert_close(seen, expected[..., :12, :24])


@pytest.mark.parametrize("custom", [False, True])
@torch.inference_mode()
def test_text_equals_open_clip_at_any_length(custom: bool) -> None:
    encoder = build_clip(TINY_CLIP | {"custom_text": custom}, None)
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    assert isinstance(encoder.model, kind)
    tokens = encoder.tokenize(["a cat", "a photo of a small house"])
    assert tokens.shape == (2, 24)
    expected = encoder.model.encode_text(tokens)
    longest = int((tokens != 0).sum(dim=1).max())
    for length in (24, longest):
        found = encoder.encode_text(tokens[:, :length])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_text_without_causal_mask_is_padded() -> None:
    text = TINY_CLIP["text_cfg"] | {"no_causal_mask": True, "pool_type": "last", "pad_id": 1}
    encoder = build_clip(TINY_CLIP | {"custom_text": True, "text_cfg": text}, None)
    assert not encoder.causal_text
    tokens = torch.tensor([[5, 6, 7]])
    padded = torch.nn.functional.pad(tokens, (0, 21), value=1)
    expected = encoder.model.encode_text(padded)
    torch.testing.assert_close(encoder.encode_text(tokens), expected)


@pytest.mark.parametrize("length", [0, 25])
def test_text_of_a_wrong_length(encoder, length: int) -> None:
    with pytest.raises(PromptError, match="from 1 to 24"):
        encoder.encode_text(torch.zeros(1, length, dtype=torch.long))


def test_a_tokenizer_that_is_not_here(monkeypatch) -> None:
    import open_clip.tokenizer

    def fail(*_: object, **__: object) -> None:
        raise OSError("not in the cache")

    monkeypatch.setattr(open_clip.tokenizer, "HFTokenizer", fail)
    text = TINY_CLIP["text_cfg"] | {"hf_tokenizer_name": "owner/name"}
    encoder = build_clip(TINY_CLIP | {"text_cfg": text}, None)
    with pytest.raises(ConfigError, match=r"owner/name.*transformers"):
        encoder.tokenize(["a"])


@pytest.mark.parametrize(("offline", "wanted"), [("1", {"local_files_only": True}), ("0", {})])
def test_a_tokenizer_is_not_fetched_when_offline(monkeypatch, offline: str, wanted: dict) -> None:
    import open_clip.tokenizer

    asked = []

    def tokenizer(name: str, context_length: int, **options: object) -> object:
        asked.append((name, context_length, options))
        return lambda texts: torch.zeros(len(texts), context_length, dtype=torch.long)

    monkeypatch.setattr(open_clip.tokenizer, "HFTokenizer", tokenizer)
    monkeypatch.setenv("OVSEG_OFFLINE", offline)
    text = TINY_CLIP["text_cfg"] | {"hf_tokenizer_name": "owner/name"}
    build_clip(TINY_CLIP | {"text_cfg": text}, None).tokenize(["a"])
    assert asked == [("owner/name", 24, wanted)]


def test_settings_that_are_none(tiny_clip_files) -> None:
    for name, value in {
        "precision": "fp8",
        "pad_mode": "both",
        "towers": "image",
        "act_layer": "relu",
        "normalization": "openai",
        "position_rule": "nearest",
    }.items():
        with pytest.raises(ConfigError, match=name):
            build_clip(*tiny_clip_files, **{name: value})


@torch.inference_mode()
def test_position_rule_reaches_the_tower(tiny_clip_files) -> None:
    images = torch.rand(1, 3, 40, 56)
    tokens = [
        build_clip(*tiny_clip_files, position_rule=rule).run_backbone(images).tokens
        for rule in ("size", "plus_0.1", "antialias")
    ]
    assert not torch.allclose(tokens[0], tokens[1], atol=1e-4)
    assert not torch.allclose(tokens[0], tokens[2], atol=1e-4)


def test_the_bundled_model() -> None:
    encoder = build_clip("asset:clip_tiny", "asset:clip_tiny")
    text = encoder.encode_text(encoder.tokenize(["grass"]))
    dense = encoder.dense_features(encoder.run_backbone(torch.rand(1, 3, 64, 64)), "value")
    assert dense.features.shape[1] == text.shape[1] == encoder.embed_dim
