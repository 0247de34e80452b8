"""The proposal network: released weights by their own names, padding, and mismatches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import ovseg.mm  # noqa: F401 - before mmseg: stands in for mmcv's operators
from ovseg.errors import CheckpointError, ConfigError
from ovseg.inference.head_input import HeadInput
from ovseg.models.clip import build_clip
from ovseg.models.maskformer import load_backbone
from ovseg.models.maskformer_backbones import BACKBONES, ResNetFeatures, SwinFeatures
from ovseg.proposals.maskformer import MaskFormerProposer
from ovseg.utils.plain_data import build

# isort: split
from mmseg.models.backbones import ResNetV1c, SwinTransformer

SWIN = {"width": 8, "depths": (2, 2, 2, 2), "heads": (1, 1, 2, 2), "window": 3}
SMALL = {"queries": 5, "width": 8, "layers": 2, "heads": 2, "feedforward": 8, "class_hidden": 8}
SMALL["groups"] = 2


def theirs_of_swin() -> SwinTransformer:
    """mmseg's Swin of the same size, random norms too."""
    torch.manual_seed(0)
    swin = SwinTransformer(
        embed_dims=8, depths=SWIN["depths"], num_heads=SWIN["heads"], window_size=3
    )
    for parameter in swin.parameters():
        nn.init.normal_(parameter, std=0.3)
    return swin


def swin_key(key: str) -> str:
    """Published name of one of mmseg's."""
    key = key.replace("patch_embed.projection", "patch_embed.proj").replace("stages.", "layers.")
    key = key.replace("attn.w_msa.", "attn.").replace("ffn.layers.0.0.", "mlp.fc1.")
    return key.replace("ffn.layers.1.", "mlp.fc2.")


def published_swin(swin: SwinTransformer) -> dict[str, Tensor]:
    """Weights of mmseg's Swin as the published files have them: patches merged in another order."""
    state = {}
    for key, value in swin.state_dict().items():
        if "downsample" in key:
            order = value.unflatten(-1, (-1, 4))[..., [0, 2, 1, 3]]
            value = order.transpose(-1, -2).flatten(-2)
        state[swin_key(key)] = value
    return state


def published(backbone: dict[str, Tensor], head: nn.Module) -> dict[str, Tensor]:
    """A released whole model; the CLIP in it is not looked at."""
    return {
        **{f"backbone.{key}": value for key, value in backbone.items()},
        **{f"sem_seg_head.{key}": value for key, value in head.state_dict().items()},
        "clip_adapter.non_object_embedding": torch.ones(1, 64),
        "clip_adapter.clip_model.logit_scale": torch.ones(()),
        "criterion.empty_weight": torch.ones(4),
    }


@pytest.fixture
def released(tmp_path: Path) -> tuple[Path, SwinTransformer]:
    swin = theirs_of_swin()
    head = MaskFormerProposer({"type": "SwinFeatures", **SWIN}, 64, head=SMALL).network.head
    path = tmp_path / "model.pth"
    torch.save({"model": published(published_swin(swin), head)}, path)
    return path, swin


@torch.no_grad()
def test_released_swin(released: tuple[Path, SwinTransformer]) -> None:
    path, swin = released
    with pytest.warns(UserWarning, match="non-commercial"):
        made = MaskFormerProposer({"type": "SwinFeatures", **SWIN}, 64, str(path), SMALL)
    ours = made.network.backbone.eval()
    swin.eval()
    image = torch.randn(1, 3, 160, 128)
    for found, wanted in zip(ours(image), swin(image), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert made.network.no_object.eq(1).all()


def resnet_key(key: str) -> str:
    """Detectron2's name of one of mmseg's ResNetV1c."""
    stem = {"0": "conv1", "1": "conv1.norm", "3": "conv2", "4": "conv2.norm"}
    stem |= {"6": "conv3", "7": "conv3.norm"}
    key = re.sub(r"^stem\.(\d)", lambda m: f"stem.{stem[m[1]]}", key)
    key = re.sub(r"^layer(\d)", lambda m: f"res{int(m[1]) + 1}", key)
    key = key.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
    return re.sub(r"\.bn(\d)", r".conv\1.norm", key)


@torch.no_grad()
def test_detectron_resnet() -> None:
    torch.manual_seed(0)
    grid = {"multi_grid": (1, 2, 4), "strides": (1, 2, 2, 2), "dilations": (1, 1, 1, 1)}
    theirs = ResNetV1c(depth=50, stem_channels=128, base_channels=64, style="pytorch", **grid)
    for module in theirs.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_var.uniform_(0.5, 2)
            module.weight.uniform_(0.5, 1.5)
    ours = ResNetFeatures("resnet50")
    state = {resnet_key(key): value for key, value in theirs.state_dict().items()}
    ours.load_state_dict({ours.rename(key): value for key, value in state.items()})
    theirs.eval()
    image = torch.randn(1, 3, 96, 64)
    for found, wanted in zip(ours.eval()(image), theirs(image), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def test_a_resnet_of_other_sizes() -> None:
    sizes = {"layers": [1, 2, 1, 1], "widths": [8, 16, 24, 32]}
    made = build({"type": "ResNetFeatures", "name": "resnet18", **sizes}, BACKBONES, "backbone")
    found = made(torch.zeros(2, 3, 64, 96))
    assert made.channels == (8, 16, 24, 32)
    assert [tuple(each.shape[1:]) for each in found] == [
        (8, 16, 24),
        (16, 8, 12),
        (24, 4, 6),
        (32, 2, 3),
    ]
    assert len(made.trunk.layer2) == 2


def request(height: int, width: int) -> HeadInput:
    clip = build_clip("asset:clip_tiny", "asset:clip_tiny")
    text = functional.normalize(torch.randn(3, 64), dim=1)
    return HeadInput(clip, torch.rand(3, height, width), text, None)


def test_proposals_have_the_size_of_the_image() -> None:
    made = MaskFormerProposer({"type": "SwinFeatures", **SWIN}, 64, head=SMALL).eval()
    asked = request(70, 45)
    made.check(asked.clip)
    found = made.propose(asked)
    assert found.prob.shape == (5, 70, 45)
    assert found.class_logits.shape == (5, 4)
    assert 0 <= float(found.prob.min()) <= float(found.prob.max()) <= 1
    assert float(found.class_logits.abs().max()) <= 100.001


def test_other_width_is_refused() -> None:
    made = MaskFormerProposer({"type": "SwinFeatures", **SWIN}, 32, head=SMALL)
    with pytest.raises(ConfigError, match="embed_dim"):
        made.check(request(8, 8).clip)


@pytest.mark.filterwarnings("ignore:weights in the layout of OVSeg")
def test_missing_and_left_over_names(released: tuple[Path, SwinTransformer]) -> None:
    path, _ = released
    state = torch.load(path, weights_only=True)["model"]
    state["backbone.layers.9.odd"] = state.pop("sem_seg_head.predictor.query_embed.weight")
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="1 missing, 1 left over"):
        MaskFormerProposer({"type": "SwinFeatures", **SWIN}, 64, str(path), SMALL)


def test_a_backbone_starts_from_a_classifier(tmp_path: Path) -> None:
    state = published_swin(theirs_of_swin())
    outputs = [key for key in state if re.match(r"norm\d", key)]
    kept = {key: value for key, value in state.items() if key not in outputs}
    classifier = {"head.weight": torch.ones(3, 64), "norm.weight": torch.ones(64)}
    torch.save({"model": kept | classifier}, tmp_path / "swin.pth")
    swin = SwinFeatures(**SWIN)
    load_backbone(swin, tmp_path / "swin.pth")
    assert torch.equal(swin.features[0][0].weight, state["patch_embed.proj.weight"])
    assert swin.norms[3].weight.eq(1).all()
    torch.save({"model": kept | {"odd": torch.ones(1)}}, tmp_path / "swin.pth")
    with pytest.raises(CheckpointError, match="1 left over"):
        load_backbone(swin, tmp_path / "swin.pth")
