"""What mask adaptation trains, and its losses."""

from __future__ import annotations

import pytest
import torch

from ovseg.errors import ConfigError
from ovseg.models.clip import build_clip
from ovseg.training.mask_adaptation import MaskAdaptation


def adaptation(trained="prompts", **options):
    torch.manual_seed(0)
    return MaskAdaptation(build_clip("asset:clip_tiny", "asset:clip_tiny"), trained, **options)


def batch(model, words):
    torch.manual_seed(1)
    images = torch.randint(0, 256, (len(words), 3, 112, 112), dtype=torch.uint8)
    masks = torch.zeros(len(words), 112, 112, dtype=torch.bool)
    masks[:, :56] = True
    return images, masks, model.clip.tokenize(words)


def trained_names(model):
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_only_prompts_and_temperature_are_trained():
    model = adaptation(depth=2)
    assert trained_names(model) == {"mask_embedding", "clip.model.logit_scale"}
    assert model.mask_embedding.shape == (2, 196, 128)
    assert list(model.release()) == ["visual.mask_embedding"]
    model(*batch(model, ["a car", "the sky"])).backward()
    # What stands in the upper half of the image is seen as it is.
    assert not model.mask_embedding.grad[:, :98].any()
    assert model.mask_embedding.grad[:, 98:].any(dim=2).all()


def test_the_whole_tower_is_trained_and_released():
    model = adaptation("tower")
    names = trained_names(model)
    assert "clip.model.visual.proj" in names
    assert "clip.model.token_embedding.weight" not in names
    assert set(model.release()) == {
        f"visual.{name}" for name in model.clip.model.visual.state_dict()
    }


def test_equal_words_can_be_merged():
    apart, merged = adaptation(), adaptation(merge_duplicates=True)
    images, masks, tokens = batch(merged, ["a car"] * 3)
    # There is one word: it is certain, and all the regions are its own.
    word = torch.nn.functional.normalize(merged.clip.encode_text(tokens[:1]), dim=1)
    cosines = merged.embed(images, masks) @ word[0]
    expected = -(merged.clip.model.logit_scale.exp() * cosines).log_softmax(0).mean() / 2
    torch.testing.assert_close(merged(images, masks, tokens), expected)
    distinct = ["a car", "the sky", "a house", "a tree"]
    torch.testing.assert_close(
        merged(*batch(merged, distinct)), apart(*batch(apart, distinct)), atol=1e-5, rtol=1e-5
    )


def test_the_temperature_stays_in_its_limits():
    model = adaptation()
    scale = model.clip.model.logit_scale
    for value, limit in ((9.0, 4.60517), (-3.0, 0.0)):
        scale.data.fill_(value)
        model(*batch(model, ["a car", "the sky"]))
        assert scale.item() == pytest.approx(limit)


def test_something_else_to_train_is_refused():
    with pytest.raises(ConfigError, match="tower or prompts"):
        adaptation("text")


def test_a_tower_without_class_token_is_refused():
    resnet = {
        "embed_dim": 8,
        "vision_cfg": {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32},
        "text_cfg": {"context_length": 8, "vocab_size": 9, "width": 8, "heads": 1, "layers": 1},
    }
    with pytest.raises(ConfigError, match="plain CLIP vision transformer"):
        MaskAdaptation(build_clip(resnet, None), "tower")
