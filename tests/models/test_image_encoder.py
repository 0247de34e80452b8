from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ovseg.errors import ConfigError, InputError
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.models.encoder_for import tower_for
from ovseg.models.eva_siglip import EvaTower, SiglipTower
from ovseg.models.image_encoder import parse_intermediates
from ovseg.models.resnet import AttentionPoolBlock, ResNetTower, with_mean
from ovseg.models.vit import VitTower

TEXT = {"context_length": 8, "vocab_size": 64, "width": 8, "heads": 1, "layers": 1}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16}
KINDS = {"vit": VitTower, "eva": EvaTower, "siglip": SiglipTower, "resnet": ResNetTower}


def ovseg_test_eva(*, num_classes: int, global_pool: str, **_: Any) -> nn.Module:
    return Eva(
        img_size=32,
        patch_size=8,
        embed_dim=32,
        depth=3,
        num_heads=2,
        qkv_fused=False,
        mlp_ratio=2.6,
        swiglu_mlp=True,
        scale_mlp=True,
        scale_attn_inner=True,
        use_rot_pos_emb=True,
        ref_feat_shape=(16, 16),
        num_classes=num_classes,
        global_pool=global_pool,
    )


def ovseg_test_siglip(*, num_classes: int, global_pool: str, **_: Any) -> nn.Module:
    return VisionTransformer(
        img_size=32,
        patch_size=8,
        embed_dim=32,
        depth=3,
        num_heads=2,
        class_token=False,
        num_classes=num_classes,
        global_pool=global_pool,
    )


@pytest.fixture(scope="module")
def encoders(tiny_clip_files) -> dict[str, ClipEncoder]:
    for build in (ovseg_test_eva, ovseg_test_siglip):
        if not timm.is_model(build.__name__):
            timm.models.register_model(build)
    eva = {"image_size": 32, "timm_model_name": "ovseg_test_eva", "timm_pool": "token"}
    siglip = {"image_size": 32, "timm_model_name": "ovseg_test_siglip", "timm_pool": "map"}
    configs = {
        "eva": (16, eva | {"timm_proj": None}, True),
        "siglip": (32, siglip | {"timm_proj": "none"}, True),
        "resnet": (16, RESNET, False),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = {
            name: build_clip(
                {"embed_dim": dim, "vision_cfg": vision, "text_cfg": TEXT, "custom_text": custom},
                None,
            )
            for name, (dim, vision, custom) in configs.items()
        }
    return {"vit": build_clip(*tiny_clip_files)} | built


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def encoder(encoders, kind: str) -> ClipEncoder:
    return encoders[kind]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 72, 45, generator=torch.Generator().manual_seed(3))


def test_kind_and_sizes(encoder, kind: str, images) -> None:
    tower = encoder.tower
    assert type(tower) is KINDS[kind]
    backbone_tokens = encoder.run_backbone(images)
    rows, columns = -(-72 // tower.patch_size), -(-45 // tower.patch_size)
    assert backbone_tokens.grid == (rows, columns)
    assert backbone_tokens.tokens.shape == (2, tower.prefix + rows * columns, tower.width)
    assert tower.has_class_token == (kind != "siglip")
    assert not encoder.training
    assert all(p.requires_grad for p in encoder.parameters())


@torch.inference_mode()
def test_readout_shapes_and_batch_equals_single(encoder, images) -> None:
    backbone_tokens = encoder.run_backbone(images)
    for name in ("value", "csa"):
        dense = encoder.dense_features(backbone_tokens, name, keys=True)
        assert dense.features.shape == (2, encoder.embed_dim, *backbone_tokens.grid)
        assert dense.keys.shape[:2] == (2, backbone_tokens.grid[0] * backbone_tokens.grid[1])
        for index in range(2):
            one = encoder.dense_features(encoder.run_backbone(images[index : index + 1]), name)
            torch.testing.assert_close(one.features[0], dense.features[index], atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_global_embedding_equals_open_clip_at_native_size(encoder) -> None:
    height, width = (side * encoder.patch_size for side in encoder.tower.native_grid)
    images = torch.rand(2, 3, height, width)
    expected = encoder.model.encode_image(encoder.pad_and_normalize(images))
    torch.testing.assert_close(encoder.encode_image(images), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@torch.inference_mode()
def test_half_precision_gives_float32_close_by(encoder, images, precision: str) -> None:
    half = copy.deepcopy(encoder).to_precision(precision)
    backbone_tokens = half.run_backbone(images)
    assert backbone_tokens.tokens.dtype == half.dtype != torch.float32
    assert half.text_dtype == torch.float32
    for name in ("value", "csa"):
        found = half.dense_features(backbone_tokens, name).features
        assert found.dtype == torch.float32
        expected = encoder.dense_features(encoder.run_backbone(images), name).features
        assert torch.cosine_similarity(found, expected, dim=1).min() > 0.999


@pytest.mark.parametrize("kind", ["vit", "eva", "siglip"], indirect=True)
@torch.inference_mode()
def test_capture_changes_nothing_and_gives_inner_tokens(encoder, images) -> None:
    plain = encoder.run_backbone(images)
    names = ["ln_2@-3", "block@0"]
    kept = encoder.run_backbone(images, return_intermediates=names)
    torch.testing.assert_close(kept.tokens, plain.tokens)
    assert set(kept.intermediates) == set(names)
    assert kept.intermediates["ln_2@-3"].shape == plain.tokens.shape
    blocks = getattr(encoder.model.visual, "trunk", None)
    blocks = encoder.model.visual.transformer.resblocks if blocks is None else blocks.blocks
    seen = {}
    block = blocks[-3]
    norm = block.ln_2 if hasattr(block, "ln_2") else block.norm2
    hook = norm.register_forward_hook(lambda module, args, out: seen.update(inner=out))
    encoder.run_backbone(images)
    hook.remove()
    torch.testing.assert_close(kept.intermediates["ln_2@-3"], seen["inner"])


def test_capture_errors(encoders) -> None:
    images = torch.rand(1, 3, 32, 32)
    for name in ("ln_3@1", "ln_2@--1", "ln_2@\u00b2", "ln_2"):
        with pytest.raises(ConfigError, match="ln_2@i or block@i"):
            encoders["vit"].run_backbone(images, return_intermediates=[name])
    with pytest.raises(ConfigError, match="does not run"):
        encoders["vit"].run_backbone(images, return_intermediates=["ln_2@-1"])
    with pytest.raises(ConfigError, match="no inner tokens"):
        encoders["resnet"].run_backbone(images, return_intermediates=["ln_2@0"])
    assert parse_intermediates(["block@-2"], blocks=3, ran=2) == {("block", 1): "block@-2"}


def test_tower_refuses_wrong_shapes(encoders) -> None:
    with pytest.raises(InputError, match="multiples of 8"):
        encoders["vit"].tower.run_backbone(torch.rand(1, 3, 33, 32))
    with pytest.raises(InputError, match="not empty"):
        encoders["vit"].run_backbone(torch.rand(3, 32, 32))


def test_gradients_reach_the_weights(encoders) -> None:
    encoder = copy.deepcopy(encoders["vit"])
    encoder.dense_features(
        encoder.run_backbone(torch.rand(1, 3, 32, 32)), "csa"
    ).features.sum().backward()
    assert encoder.model.visual.conv1.weight.grad is not None


def test_siglip_has_no_vanilla_readout(encoders) -> None:
    trunk = encoders["siglip"].run_backbone(torch.rand(1, 3, 32, 32))
    with pytest.raises(ConfigError, match="vanilla"):
        encoders["siglip"].dense_features(trunk, "vanilla")


@torch.inference_mode()
def test_resnet_readouts_are_convolutions(encoders) -> None:
    pool = encoders["resnet"].model.visual.attnpool
    block = AttentionPoolBlock(pool)
    features = torch.randn(2, pool.v_proj.in_features, 2, 3)
    tokens = with_mean(features)
    torch.testing.assert_close(tokens[:, 0], features.mean(dim=(2, 3)))
    value = block.out(block.value(tokens[:, 1:]))
    convolved = nn.functional.conv2d(
        features, pool.v_proj.weight[..., None, None], pool.v_proj.bias
    )
    convolved = nn.functional.conv2d(
        convolved, pool.c_proj.weight[..., None, None], pool.c_proj.bias
    )
    torch.testing.assert_close(value.mT.unflatten(2, (2, 3)), convolved, atol=1e-5, rtol=1e-4)


def test_other_towers_are_refused() -> None:
    with pytest.raises(ConfigError, match="Linear"):
        tower_for(nn.Linear(2, 2))
