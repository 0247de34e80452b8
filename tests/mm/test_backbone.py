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
    built = MODELS.build({"type": "ClipBackbone", **TINY, "pad_mode": "after"})
    assert built.clip.weights_hash == backbone.clip.weights_hash
    assert built.clip.pad_mode == "after"


def test_features_are_the_trunk_of_images_from_0_to_255(backbone):
    patch = backbone.clip.patch_size
    images = torch.randint(0, 256, (2, 3, 3 * patch, 2 * patch + 1)).float()
    with torch.no_grad():
        features = backbone(images)
        expected = backbone.clip.run_backbone(images / 255)
    assert torch.equal(features.backbone_tokens.tokens, expected.tokens)
    assert features.backbone_tokens.grid == (3, 3)
    assert features.size == (3 * patch, 2 * patch + 1)
    assert features.clip is backbone.clip


def test_normalized_images_are_refused(backbone):
    with pytest.raises(ConfigError, match=r"come normalized.*bgr_to_rgb=True"):
        backbone(torch.randn(1, 3, 32, 32))


def test_the_tower_alone_is_an_ordinary_backbone(backbone):
    tokens = MODELS.build({"type": "ClipTokenBackbone", **TINY})
    assert isinstance(tokens, ClipTokenBackbone)
    clip, patch = backbone.clip, backbone.clip.patch_size
    images = torch.rand(2, 3, 3 * patch, 2 * patch)
    normalized = clip.pad_and_normalize(images)
    (map_,) = tokens(normalized)
    expected = clip.dense_features(clip.run_backbone(images), "value").tokens
    assert map_.shape == (2, clip.tower.width, 3, 2)
    torch.testing.assert_close(map_, expected)


def test_the_tower_alone_is_trained_and_keeps_no_words():
    tokens = ClipTokenBackbone(**TINY)
    assert all(name.startswith("visual.") for name in tokens.state_dict())
    tokens(torch.randn(1, 3, 16, 16))[0].sum().backward()
    assert tokens.visual.conv1.weight.grad.abs().sum() > 0
