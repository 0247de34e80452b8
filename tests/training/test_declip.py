"""DeCLIP's losses, trained sets, teachers, recipe and extension on small models."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from ovseg.errors import ConfigError, DatasetError, InputError
from ovseg.heads import MaskClip
from ovseg.heads.affinity import affinity
from ovseg.heads.declip import DeClip
from ovseg.models.clip import build_clip
from ovseg.training.affinity_teachers import VFMS, build_teacher
from ovseg.training.declip import (
    average_weights,
    content_loss,
    context_affinity,
    trainable_names,
)
from ovseg.training.declip_extension import Extension, merge_attention, read_attention
from ovseg.training.declip_recipe import DeclipRecipe
from ovseg.training.recipes import build_recipe
from tests.golden.conftest import golden_root
from tests.golden.declip_towers import eva_encoder, siglip_encoder, vit_encoder

TINY_DINO = {"type": "DinoTeacher", "model": "asset:dino_tiny", "pretrained": None}


@pytest.fixture(scope="module")
def clip():
    return build_clip("asset:clip_tiny", "asset:clip_tiny")


def sample(clip, boxes=((0.0, 0.0, 0.5, 0.5), (0.25, 0.0, 1.0, 1.0)), side=32):
    boxes = torch.tensor(boxes).reshape(-1, 4)
    noise = torch.Generator().manual_seed(len(boxes))
    crops = torch.randint(0, 256, (len(boxes), 3, 16, 16), generator=noise, dtype=torch.uint8)
    seen = torch.randint(0, 256, (3, side, side), generator=noise, dtype=torch.uint8)
    return SimpleNamespace(boxes=boxes, crops=crops, vfm_image=seen, img_path="folder/a.png")


def losses_of(clip, samples, head=None, **options):
    head = head or DeClip("csa")
    recipe = DeclipRecipe(TINY_DINO, **options)
    recipe.prepare(clip, head)
    torch.manual_seed(0)
    recipe._see(samples, torch.device("cpu"))
    images = torch.rand(len(samples), 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return recipe.losses(clip, head, images, samples)


def test_context_is_resized_to_the_grid_of_the_teacher():
    context = torch.rand(1, 4 * 6, 8)
    found = context_affinity([context], (4, 6), (2, 3))
    assert found.shape == (1, 6, 6)
    torch.testing.assert_close(found.diagonal(dim1=1, dim2=2), torch.ones(1, 6))


def test_no_regions_cost_nothing():
    assert float(content_loss(torch.zeros(0, 4), torch.zeros(0, 4))) == 0


def test_averages():
    student, teacher = {"a": torch.ones(2)}, {"a": torch.zeros(2), "other": torch.zeros(1)}
    assert average_weights(student, teacher, 0.25)["a"].tolist() == [0.25, 0.25]
    assert average_weights(student, teacher, 2.0)["a"].tolist() == [1.0, 1.0]


def test_only_the_last_blocks_are_trained_and_of_the_last_what_is_read(clip):
    names = trainable_names(clip, "qq", blocks=2)
    assert {name.split(".")[3] for name in names} == {"4", "5"}
    assert not [name for name in names if ".5.mlp" in name or ".5.ln_2" in name]
    with pytest.raises(ConfigError, match="1 to 6"):
        trainable_names(clip, "qq", blocks=7)


TOWERS = {"vit": vit_encoder, "eva": eva_encoder, "siglip": siglip_encoder}


@pytest.mark.parametrize(
    ("tower", "mode"),
    [(tower, mode) for tower in ("vit", "eva") for mode in ("qq", "kk", "vv", "csa", "all")]
    + [("siglip", "qq")],
)
def test_every_trained_tensor_gets_a_gradient(tower, mode):
    small = TOWERS[tower](golden_root() / "declip")
    side = 2 * small.patch_size
    recipe, head = DeclipRecipe(TINY_DINO), DeClip(mode)
    recipe.prepare(small, head)
    samples = [sample(small, side=16)]
    sum(recipe.losses(small, head, torch.rand(1, 3, side, side), samples).values()).backward()
    trained = {name for name, p in small.model.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in small.model.named_parameters() if p.grad is not None}
    assert not [name for name in trained if "latent" in name or "pos_embed" in name]


def test_without_valid_regions_the_context_still_learns(clip):
    losses = losses_of(clip, [sample(clip, boxes=())])
    assert losses["loss_content"].item() == 0
    sum(losses.values()).backward()


def test_content_taught_by_both_is_the_ablation(clip):
    split, joint = (losses_of(clip, [sample(clip)], decoupled=flag) for flag in (True, False))
    torch.testing.assert_close(split["loss_content"], joint["loss_content"])
    assert not torch.allclose(split["loss_context"], joint["loss_context"])


def test_the_extension_changes_nothing_when_it_is_off(clip):
    plain, off = (losses_of(clip, [sample(clip)], extension=given) for given in (None, {}))
    assert plain.keys() == {"loss_content", "loss_context"}
    assert all(torch.equal(plain[name], off[name]) for name in plain)


def test_the_extension_changes_what_it_names(clip, tmp_path):
    attention = torch.rand(2, 3, 9, 9).softmax(-1)
    np.savez(tmp_path / "a.npz", attention=attention.half().numpy())
    plain = losses_of(clip, [sample(clip)])
    for options, name in (
        ({"diffusion": str(tmp_path)}, "loss_context"),
        ({"kl_temperature": 0.1}, "loss_context"),
        ({"pool_grid": 3}, "loss_content"),
    ):
        found = losses_of(clip, [sample(clip)], extension=options)
        changed = {key for key in plain if not torch.equal(plain[key], found[key])}
        assert changed == {name}
    found = losses_of(clip, [sample(clip)], extension={"correlation_weight": 1.0})
    assert found.pop("loss_correlation").item() > 0
    assert all(torch.equal(plain[name], found[name]) for name in plain)


def test_attention_is_resized_and_chained(tmp_path):
    layers = torch.rand(2, 16, 16).softmax(-1)
    for combine in ("product", "mean"):
        found = merge_attention(layers, (3, 5), combine)
        assert found.shape == (15, 15)
        torch.testing.assert_close(found.sum(-1), torch.ones(15))
    same = merge_attention(layers, (4, 4))
    torch.testing.assert_close(same, layers[0] @ layers[1])
    torch.testing.assert_close(merge_attention(layers, (4, 4), "mean"), layers.mean(0))


def test_attention_completes_the_affinity(tmp_path):
    features = torch.rand(1, 4, 2, 2)
    attention = torch.rand(4, 4).softmax(-1)
    np.savez(tmp_path / "a.npz", attention=attention.numpy())
    target = Extension(diffusion=tmp_path).target(features, ["x/a.jpg"])
    torch.testing.assert_close(target, attention @ affinity(features))


def test_unusable_attention_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"a\.npz: no attention"):
        read_attention(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="no attention"):
        read_attention(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", attention=np.zeros((6, 6)))
    with pytest.raises(DatasetError, match=r"\(1, 6, 6\)"):
        read_attention(tmp_path / "a.npz")
    with pytest.raises(ConfigError, match="no such folder"):
        Extension(diffusion=tmp_path / "nowhere")
    for wrong in ({"combine": "sum"}, {"kl_temperature": 0.0}, {"correlation_weight": -1.0}):
        with pytest.raises(ConfigError, match="expected"):
            Extension(**wrong)


def test_an_unknown_teacher_is_refused():
    with pytest.raises(ConfigError, match="unknown vision foundation model 'dinov3-B'.*dinov2-B"):
        build_teacher("dinov3-B")
    with pytest.raises(ConfigError, match="unknown type 'DinoTeachr'.*did you mean"):
        build_teacher({"type": "DinoTeachr"})
    assert set(VFMS) == {"dinov2-B", "dinov2-L", "dino-B-8", "dino-B-16", "sam-B", "sam-L"}


@pytest.mark.parametrize(
    "vfm",
    [
        TINY_DINO,
        {
            "type": "DinoTeacher",
            "model": {
                "img_size": 42,
                "patch_size": 14,
                "embed_dim": 24,
                "depth": 2,
                "num_heads": 2,
                "reg_tokens": 4,
                "no_embed_class": True,
                "init_values": 1e-5,
            },
            "pretrained": None,
            "position_rule": "antialias",
        },
        {"type": "SamTeacher", "model": "asset:sam_tiny", "pretrained": "asset:sam_tiny"},
    ],
    ids=["dino", "dinov2 with registers", "sam"],
)
def test_teachers_see_any_size(vfm):
    teacher = build_teacher(vfm)
    patch = 14 if vfm["model"] not in ("asset:dino_tiny", "asset:sam_tiny") else 8
    found = teacher(torch.rand(2, 3, 5 * patch, 4 * patch))
    assert found.shape[2:] == (5, 4)
    assert bool(normalize(found, dim=1).isfinite().all())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_dinov2_with_registers_is_what_timm_gives():
    options = {"img_size": 42, "patch_size": 14, "embed_dim": 24, "depth": 2, "num_heads": 2}
    options |= {"reg_tokens": 4, "no_embed_class": True, "init_values": 1e-5}
    rule = {"pretrained": None, "position_rule": "antialias"}
    teacher = build_teacher({"type": "DinoTeacher", "model": options, **rule})
    model = teacher.dino.model
    model.dynamic_img_size = model.patch_embed.dynamic_img_pad = True
    model.patch_embed.strict_img_size = model.patch_embed.flatten = False
    model.patch_embed.output_fmt = "NHWC"
    images = torch.rand(1, 3, 70, 70)
    tokens = model.forward_features((images - teacher.dino.mean) / teacher.dino.std)
    expected = tokens[:, 5:].transpose(1, 2).unflatten(2, (5, 5))
    torch.testing.assert_close(teacher(images), expected, atol=1e-5, rtol=1e-5)


def test_what_does_not_fit_is_refused(clip):
    recipe = build_recipe({"type": "DeclipRecipe", "vfm": TINY_DINO})
    with pytest.raises(ConfigError, match="DeClipHead"):
        recipe.prepare(clip, MaskClip())
    with pytest.raises(ConfigError, match="maskclip"):
        recipe.prepare(clip, DeClip("maskclip"))
    with pytest.raises(ConfigError, match="not negative"):
        DeclipRecipe(TINY_DINO, alpha=-1.0)
    recipe.prepare(clip, DeClip("qq"))
    with pytest.raises(ConfigError, match="images without regions"):
        recipe.losses(clip, DeClip("qq"), torch.rand(1, 3, 32, 32), [SimpleNamespace()])
    outside = sample(clip, boxes=((1.5, 0.0, 2.0, 1.0),))
    with pytest.raises(InputError, match="not one of this image"):
        recipe.losses(clip, DeClip("qq"), torch.rand(1, 3, 32, 32), [outside])
