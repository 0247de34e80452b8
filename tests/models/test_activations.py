"""Which activation runs: the trap of OpenAI's weights under plain GELU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from open_clip.transformer import QuickGELU
from safetensors.torch import load_file
from torch import nn

from ovseg.errors import ConfigError
from ovseg.models.activations import pick_activation, set_activation, set_norm_eps
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.models.model_config import ModelConfig
from ovseg.weights.download import Weights

PLAIN = ModelConfig("ViT-B-16", {"quick_gelu": False})
QUICK = ModelConfig("ViT-B-16-quickgelu", {"quick_gelu": True})


def activations(encoder: ClipEncoder) -> tuple[type, type]:
    """Of the image encoder and of the text encoder."""
    visual, text = encoder.model.visual.transformer, encoder.model.transformer
    return type(visual.resblocks[0].mlp.gelu), type(text.resblocks[0].mlp.gelu)


def test_weights_trained_with_quick_gelu_under_a_plain_model() -> None:
    """open_clip 3.3 only warns here and computes the wrong thing."""
    with pytest.raises(ConfigError) as caught:
        pick_activation("model", PLAIN, trained_quick=True)
    assert 'act_layer="quick_gelu" or model ViT-B-16-quickgelu' in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        pick_activation("model", QUICK, trained_quick=False)
    assert 'act_layer="gelu" or model ViT-B-16' in str(caught.value)


@pytest.mark.parametrize(
    ("act_layer", "config", "trained", "expected"),
    [
        ("model", PLAIN, None, ("model", False)),
        ("model", QUICK, None, ("model", True)),
        ("model", QUICK, True, ("model", True)),
        ("model", PLAIN, False, ("model", False)),
        ("gelu", PLAIN, True, ("gelu", True)),
        ("gelu", QUICK, None, ("gelu", True)),
        ("quick_gelu", PLAIN, True, ("quick_gelu", True)),
        ("quick_gelu", PLAIN, None, ("quick_gelu", True)),
        ("quick_gelu", PLAIN, False, ("quick_gelu", False)),
    ],
)
def test_choice(act_layer: str, config: ModelConfig, trained: bool | None, expected) -> None:
    assert pick_activation(act_layer, config, trained) == expected


def test_tag_against_model_is_checked_before_anything_is_fetched(monkeypatch) -> None:
    def forbidden(source: Weights) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr(Weights, "local", forbidden)
    with pytest.raises(ConfigError, match="trained with QuickGELU"):
        build_clip("ViT-B-16", "openai")
    with pytest.raises(AssertionError, match="fetched"):
        build_clip("ViT-B-16", "openai", act_layer="gelu")


def test_act_layer_changes_the_image_tower(tiny_clip_files) -> None:
    assert activations(build_clip(*tiny_clip_files)) == (nn.GELU, nn.GELU)
    quick = build_clip(*tiny_clip_files, act_layer="quick_gelu")
    assert activations(quick) == (QuickGELU, QuickGELU)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_an_archive_of_openai_means_quick_gelu(tiny_clip_files, tmp_path: Path) -> None:
    config, weights = tiny_clip_files

    class Empty(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    archive = Empty()
    for name, value in load_file(weights).items():
        *parents, last = name.split(".")
        module = archive
        for parent in parents:
            if not hasattr(module, parent):
                module.add_module(parent, Empty())
            module = getattr(module, parent)
        module.register_buffer(last, value)
    archive.register_buffer("input_resolution", torch.tensor(32))
    torch.jit.script(archive).save(str(tmp_path / "openai.pt"))

    with pytest.raises(ConfigError, match="trained with QuickGELU"):
        build_clip(config, tmp_path / "openai.pt")
    encoder = build_clip(config, tmp_path / "openai.pt", act_layer="quick_gelu")
    assert activations(encoder) == (QuickGELU, QuickGELU)
    original = build_clip(config, tmp_path / "openai.pt", act_layer="gelu")
    assert activations(original) == (nn.GELU, QuickGELU)
    expected = build_clip(config, weights).model.state_dict()
    for name, value in original.model.state_dict().items():
        assert torch.equal(value, expected[name])


def test_norm_epsilon(tiny_clip_files) -> None:
    encoder = build_clip(*tiny_clip_files, ln_eps=1e-6)
    assert encoder.model.visual.ln_post.eps == 1e-6
    assert encoder.model.ln_final.eps == 1e-5
    for eps in (0.0, float("nan"), "1e-6"):
        with pytest.raises(ConfigError, match="positive"):
            set_norm_eps(encoder.model.visual, eps)


def test_errors() -> None:
    with pytest.raises(ConfigError, match="model, gelu, quick_gelu"):
        pick_activation("relu", PLAIN, None)
    with pytest.raises(ConfigError, match="no GELU"):
        set_activation(nn.Sequential(nn.ReLU()), "gelu")
