"""CLIP as a backbone of mmseg."""

import pytest
import torch
from mmseg.registry import MODELS

import ovseg.mm  # noqa: F401 - registers
from ovseg.errors import ConfigError
from ovseg.mm.backbone import ClipBackbone, ClipTokenBackbone

TINY = {"model": "asset:clip_tiny", "pretrained": "asset:clip_tiny"}


@pytest.fixture(scope="module")
def backbone():
    return ClipBackbone(**TINY)


def test_it_is_built_from_a_config(backbone):
    built = MODELS.build({"type": "ClipBackbone", **TINY, "pad": "after"})
    assert built.clip.weights_hash == backbone.clip.weights_hash
    assert built.clip.pad == "after"


def test_features_are_the_trunk_of_pictures_from_0_to_255(backbone):
    patch = backbone.clip.patch_size
    pictures = torch.randint(0, 256, (2, 3, 3 * patch, 2 * patch + 1)).float()
    with torch.no_grad():
        features = backbone(pictures)
        expected = backbone.clip.trunk(pictures / 255)
    assert torch.equal(features.trunk.tokens, expected.tokens)
    assert features.trunk.grid == (3, 3)
    assert features.size == (3 * patch, 2 * patch + 1)
    assert features.clip is backbone.clip


def test_normalised_pictures_are_refused(backbone):
    with pytest.raises(ConfigError, match=r"come normalised.*bgr_to_rgb=True"):
        backbone(torch.randn(1, 3, 32, 32))


def test_the_tower_alone_is_an_ordinary_backbone(backbone):
    tokens = MODELS.build({"type": "ClipTokenBackbone", **TINY})
    assert isinstance(tokens, ClipTokenBackbone)
    clip, patch = backbone.clip, backbone.clip.patch_size
    pictures = torch.rand(2, 3, 3 * patch, 2 * patch)
    normalised = clip.pad_and_normalize(pictures)
    (map_,) = tokens(normalised)
    expected = clip.readout(clip.trunk(pictures), "value").tokens
    assert map_.shape == (2, clip.tower.width, 3, 2)
    torch.testing.assert_close(map_, expected)


def test_the_tower_alone_is_trained_and_keeps_no_words():
    tokens = ClipTokenBackbone(**TINY)
    assert all(name.startswith("visual.") for name in tokens.state_dict())
    tokens(torch.randn(1, 3, 16, 16))[0].sum().backward()
    assert tokens.visual.conv1.weight.grad.abs().sum() > 0
