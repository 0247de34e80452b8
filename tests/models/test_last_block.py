from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ovseg.errors import ConfigError
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.models.last_block import ATTENTION_MODES, read_last_block, split_heads


@pytest.fixture(scope="module")
def encoder(tiny_clip_files) -> ClipEncoder:
    return build_clip(*tiny_clip_files).requires_grad_(False)


@pytest.fixture(scope="module")
def trunk(encoder):
    images = torch.rand(2, 3, 40, 24, generator=torch.Generator().manual_seed(2))
    return encoder.run_backbone(images)


def plain_attention(encoder: ClipEncoder, tokens: Tensor, name: str, scale: float) -> Tensor:
    """The formulas of DeCLIP section 3 with the whole attention matrix."""
    block = encoder.tower.last
    normed = block.norm(tokens)
    q, k, v = (split_heads(f(normed), block.heads) for f in (block.query, block.key, block.value))
    products = {"q": q @ q.mT * scale, "k": k @ k.mT * scale, "v": v @ v.mT * scale}
    weights = {
        "qq": lambda: products["q"].softmax(-1),
        "kk": lambda: products["k"].softmax(-1),
        "vv": lambda: products["v"].softmax(-1),
        "csa": lambda: products["q"].softmax(-1) + products["k"].softmax(-1),
        "all": lambda: (sum(products.values()) / 3).softmax(-1),
    }[name]()
    return block.out((weights @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("attn_scale", ["sqrt_d", "none"])
@pytest.mark.parametrize("name", ["qq", "kk", "vv", "csa", "all"])
def test_self_attention_formulas(encoder, trunk, name: str, attn_scale: str) -> None:
    scale = 16**-0.5 if attn_scale == "sqrt_d" else 1.0
    found = read_last_block(
        encoder.tower.last, trunk.tokens, trunk.grid, name, attn_scale=attn_scale
    )
    torch.testing.assert_close(found, plain_attention(encoder, trunk.tokens, name, scale))


def test_vanilla_is_the_trained_block(encoder, trunk) -> None:
    found = read_last_block(encoder.tower.last, trunk.tokens, trunk.grid, "vanilla")
    torch.testing.assert_close(found, encoder.model.visual.transformer.resblocks[-1](trunk.tokens))


def test_value_keeps_residual_and_mlp_and_value_only_does_not(encoder, trunk) -> None:
    block = encoder.model.visual.transformer.resblocks[-1]
    width = block.attn.embed_dim
    weight, bias = block.attn.in_proj_weight[2 * width :], block.attn.in_proj_bias[2 * width :]
    branch = block.attn.out_proj(block.ln_1(trunk.tokens) @ weight.T + bias)
    last, grid = encoder.tower.last, trunk.grid
    torch.testing.assert_close(read_last_block(last, trunk.tokens, grid, "value_only"), branch)
    t = trunk.tokens + branch
    expected = t + block.mlp(block.ln_2(t))
    torch.testing.assert_close(read_last_block(last, trunk.tokens, grid, "value"), expected)


def test_value_path_computes_no_queries_or_keys(encoder, trunk, monkeypatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("queries and keys are not needed")

    monkeypatch.setattr(encoder.tower.last, "query", forbidden)
    monkeypatch.setattr(encoder.tower.last, "key", forbidden)
    encoder.dense_features(trunk, "value")


def test_proxy_attention_mixes_values(encoder, trunk) -> None:
    patches = trunk.tokens.shape[1] - 1
    identity = torch.eye(patches).expand(2, -1, -1)
    found = encoder.tower.attend_with(trunk, identity)
    torch.testing.assert_close(found, encoder.tower.attended_tokens(trunk, "value_only"))
    mean = encoder.tower.attend_with(trunk, torch.full((2, 3, patches), 1 / patches))
    assert mean.shape == (2, 3, 32)
    torch.testing.assert_close(mean[:, 0], found.mean(dim=1), atol=1e-5, rtol=1e-4)


def test_unknown_names(encoder, trunk) -> None:
    with pytest.raises(ConfigError, match="value, value_only, qq"):
        encoder.dense_features(trunk, "vales")
    with pytest.raises(ConfigError, match="sqrt_d or none"):
        encoder.dense_features(trunk, "qq", attn_scale="sqrt")
    assert "vanilla" in ATTENTION_MODES
