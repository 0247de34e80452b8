import numpy as np
import open_clip
import pytest
import torch
from open_clip import CLIP

from ovseg.models.clip import build_clip
from tools.tiny.caption_batches import caption_batch
from tools.tiny.clip import TinyClipLoss, encode_text, validate, view_features

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
    normalized = encoder.pad_and_normalize(image)
    with torch.no_grad():
        cls, dense = view_features(clip.visual, normalized)
        expected = encoder.dense_features(encoder.run_backbone(image), "value").features
        assert torch.allclose(dense.transpose(1, 2).reshape(expected.shape), expected, atol=1e-5)
        assert torch.allclose(cls, encoder.encode_image(image), atol=1e-5)


def test_the_value_path_may_lose_its_residual(clip):
    encoder = build_clip(CONFIG, None)
    encoder.model.load_state_dict(clip.state_dict())
    image = torch.rand(2, 3, 64, 64)
    normalized = encoder.pad_and_normalize(image)
    block = encoder.tower.last
    with torch.no_grad():
        kept = view_features(clip.visual, normalized)[1]
        mixed = view_features(clip.visual, normalized, residual=torch.tensor([1.0, 0.0]))[1]
        tokens = encoder.run_backbone(image).tokens[1:, 1:]
        branch = block.out(block.value(block.norm(tokens)))
        expected = encoder.tower.project(
            block.forward_residual_mlp(torch.zeros_like(branch), branch)
        )[1]
    assert torch.equal(mixed[0], kept[0])
    assert torch.allclose(mixed[1:], expected, atol=1e-5)


def test_any_token_may_speak_for_the_image(clip):
    encoder = build_clip(CONFIG, None)
    encoder.model.load_state_dict(clip.state_dict())
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        whole = view_features(
            clip.visual, encoder.pad_and_normalize(image), reader=torch.tensor([0, 10])
        )[0]
        raw = encoder.dense_features(encoder.run_backbone(image), "vanilla").features.flatten(2)
        assert torch.allclose(whole[0], encoder.encode_image(image)[0], atol=1e-5)
    assert torch.allclose(whole[1], raw[1, :, 9], atol=1e-5)


def test_short_prompts_are_encoded_exactly(clip, tokenizer):
    tokens = tokenizer(["a red car", "grass"])
    with torch.no_grad():
        assert torch.allclose(encode_text(clip, tokens[:, :6]), clip.encode_text(tokens), atol=1e-6)


def test_the_loss_has_three_parts_that_all_teach(clip, tokenizer, store):
    loss = TinyClipLoss(clip, tokenizer)
    parts = loss(caption_batch(store, np.random.default_rng(0), 4, 64, 8))
    assert set(parts) == {"image", "region", "glossary"}
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
