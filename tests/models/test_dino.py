"""DINO through timm: sources of the model and its weights, padding, parts of the last block."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ovseg.errors import CheckpointError, ConfigError, InputError
from ovseg.models.dino import PARTS, DinoEncoder, build_dino, find_dino_weights

SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 3}


@pytest.fixture(scope="module")
def dino() -> DinoEncoder:
    torch.manual_seed(0)
    return build_dino(SMALL, None)


def save(dino: DinoEncoder, path: Path) -> Path:
    save_file(dict(dino.model.state_dict()), path)
    return path


@pytest.mark.parametrize("part", PARTS)
@torch.inference_mode()
def test_parts_have_a_vector_for_every_patch(dino: DinoEncoder, part: str) -> None:
    images = torch.rand(2, 3, 24, 41)
    found = dino(images, part)
    assert found.shape == (2, 12, 3, 6)
    for image, expected in zip(images, found, strict=True):
        torch.testing.assert_close(dino(image[None], part)[0], expected, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_parts_are_what_timm_computes(dino: DinoEncoder) -> None:
    images = torch.rand(1, 3, 32, 32)
    seen = {}
    handle = dino.model.blocks[-1].attn.qkv.register_forward_hook(
        lambda module, args, out: seen.update(qkv=out)
    )
    out = dino.model.forward_features((images - dino.mean) / dino.std)
    handle.remove()
    torch.testing.assert_close(dino(images, "out").flatten(2).transpose(1, 2), out[:, 1:])
    for part, expected in zip("qkv", seen["qkv"][:, 1:].chunk(3, -1), strict=True):
        torch.testing.assert_close(dino(images, part).flatten(2).transpose(1, 2), expected)


@torch.inference_mode()
def test_images_are_padded_with_black_right_and_below(dino: DinoEncoder) -> None:
    image = torch.rand(1, 3, 20, 33)
    black = nn.functional.pad(image, (0, 7, 0, 4))
    torch.testing.assert_close(dino(image), dino(black))


def test_weights_come_from_safetensors_and_pth(dino: DinoEncoder, tmp_path: Path) -> None:
    config = tmp_path / "small.json"
    config.write_text(json.dumps({**SMALL, "layer_norm_eps": 1e-6}))
    files = [save(dino, tmp_path / "a.safetensors"), tmp_path / "b.pth"]
    torch.save(dino.model.state_dict(), files[1])
    image = torch.rand(1, 3, 24, 24)
    for file in files:
        again = build_dino(config, file)
        assert again.name == "small"
        assert len(again.weights_hash) == 64
        assert not again.training
        torch.testing.assert_close(again(image), dino(image))


def test_norms_have_dinos_epsilon(dino: DinoEncoder) -> None:
    assert {m.eps for m in dino.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}


def test_another_trained_grid_is_resized(dino: DinoEncoder, tmp_path: Path) -> None:
    larger = build_dino({**SMALL, "img_size": 48}, save(dino, tmp_path / "a.safetensors"))
    assert larger.native_grid == (6, 6)
    image = torch.rand(1, 3, 48, 48)
    torch.testing.assert_close(larger(image), dino(image), atol=1e-5, rtol=0)


def test_names_must_match(dino: DinoEncoder, tmp_path: Path) -> None:
    state = dict(dino.model.state_dict())
    state["head.weight"] = state.pop("norm.weight")
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match=r"1 missing, 1 left over.*norm\.weight"):
        build_dino(SMALL, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match="of another shape"):
        build_dino({**SMALL, "embed_dim": 24}, save(dino, tmp_path / "a.safetensors"))


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": nn.Linear(1, 1)}, tmp_path / "code.pth")
    with pytest.raises(CheckpointError, match="refused"):
        build_dino(SMALL, tmp_path / "code.pth")


def test_tags_of_timm_are_known_without_fetching() -> None:
    source = find_dino_weights("dino", "vit_base_patch16_224")
    assert source.hub == "timm/vit_base_patch16_224.dino"
    assert source.files[0] == "model.safetensors"
    with pytest.raises(CheckpointError, match="one of the tags .*dino"):
        find_dino_weights("nonsense", "vit_base_patch16_224")


def test_offline_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"patch16_224\.dino"):
        find_dino_weights("dino", "vit_small_patch16_224").local()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("vit_bose_patch16_224", "closest: vit_base_patch16_224"),
        ("resnet18", "no plain vision transformer"),
        ({"depth": 2, "wings": 4}, "timm cannot build"),
        ("absent.json", "cannot be read"),
    ],
)
def test_unusable_models(model: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_dino(model, None)


def test_unusable_arguments(dino: DinoEncoder) -> None:
    with pytest.raises(ConfigError, match="unknown part 'x'"):
        dino(torch.rand(1, 3, 8, 8), "x")
    with pytest.raises(InputError, match="not empty"):
        dino(torch.rand(3, 8, 8))
    with pytest.raises(ConfigError, match="position rule"):
        build_dino(SMALL, None, position_rule="odd")
