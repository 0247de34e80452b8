import numpy as np
import open_clip
import pytest
import torch
from open_clip import CLIP

from ovseg.encoders.clip import build_clip
from ovseg.training.tiny_clip import (
    TinyClipLoss,
    caption_batch,
    encode_text,
    validate,
    view_features,
)

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 32, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return CLIP(**CONFIG).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return open_clip.SimpleTokenizer(context_length=32)


def test_a_whole_view_gives_what_the_encoder_reads_out(clip):
    encoder = build_clip(CONFIG, None)
    encoder.model.load_state_dict(clip.state_dict())
    image = torch.rand(2, 3, 64, 64)
    normalised = encoder.pad_and_normalize(image)
    with torch.no_grad():
        cls, dense = view_features(clip.visual, normalised, torch.zeros(2, 2, dtype=torch.long))
        expected = encoder.readout(encoder.trunk(image), "value").features
        assert torch.allclose(dense.transpose(1, 2).reshape(expected.shape), expected, atol=1e-5)
        assert torch.allclose(cls, encoder.encode_image(image), atol=1e-5)


def test_a_view_takes_its_part_of_the_position_table(clip):
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        near = view_features(clip.visual, image, torch.tensor([[0, 0]]))[1]
        far = view_features(clip.visual, image, torch.tensor([[4, 4]]))[1]
        moved = CLIP(**CONFIG)
        moved.load_state_dict(clip.state_dict())
        table = moved.visual.positional_embedding
        grid = table[1:].reshape(8, 8, -1)
        table[1:] = torch.roll(grid, (-4, -4), (0, 1)).reshape(64, -1)
        rolled = view_features(moved.visual, image, torch.tensor([[0, 0]]))[1]
    assert not torch.allclose(near, far, atol=1e-4)
    assert torch.allclose(far, rolled, atol=1e-6)


def test_short_prompts_are_encoded_exactly(clip, tokenizer):
    tokens = tokenizer(["a red car", "grass"])
    with torch.no_grad():
        assert torch.allclose(encode_text(clip, tokens[:, :6]), clip.encode_text(tokens), atol=1e-6)


def test_a_batch_is_consistent_and_repeatable(store):
    batch, again = (caption_batch(store, np.random.default_rng(3), 4, 32, 8) for _ in range(2))
    assert batch.images.shape == (4, 3, 32, 32)
    assert len(batch.captions) == 4
    assert torch.allclose(batch.shares.sum(1), torch.ones(len(batch.shares)))
    assert len(set(batch.texts)) == len(batch.texts)
    assert batch.true[torch.arange(len(batch.target)), batch.target].all()
    assert torch.equal(batch.images, again.images)
    assert batch.captions == again.captions
    assert batch.texts == again.texts


def test_the_loss_has_three_parts_that_all_teach(clip, tokenizer, store):
    loss = TinyClipLoss(clip, tokenizer)
    parts = loss(caption_batch(store, np.random.default_rng(0), 4, 32, 8))
    assert set(parts) == {"picture", "region", "glossary"}
    for name, value in parts.items():
        clip.zero_grad()
        value.backward(retain_graph=True)
        assert torch.isfinite(value)
        moved = [n for n, p in clip.named_parameters() if p.grad is not None and p.grad.any()]
        assert any(n.startswith("transformer") for n in moved)
        assert any(n.startswith("visual") for n in moved) == (name != "glossary")


def test_validation_gives_percentages(clip, tokenizer, store):
    figures = validate(clip, tokenizer, store, 2)
    assert set(figures) == {"miou", "stuff", "things"}
    assert all(0 <= value <= 100 for value in figures.values())
