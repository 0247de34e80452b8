"""Our training configurations, cut down to a few iterations."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.apis import init_model
from mmseg.registry import MODELS
from safetensors.torch import load_file

from ovseg.cli import main
from ovseg.heads.clip_dinoiser import HEAD_KEYS
from ovseg.mm.plain import to_dict
from ovseg.mm.safe_load import read_runner_checkpoint
from ovseg.training.dinoiser import LEARNING_RATES, MILESTONE
from ovseg.training.recipes import build_recipe
from tests.mm.training.conftest import rows

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3] / "configs"
DINOISER = ROOT / "clip_dinoiser" / "clip_dinoiser_tiny_scenes.py"
PLUS = ROOT / "maskclip_plus" / "maskclip_plus_tiny_scenes.py"
TRAIN_TOOL = Path(mmseg.__file__).parent / ".mim" / "tools" / "train.py"
FEW = [
    "--cfg-options",
    "train_cfg.max_iters=2",
    "train_cfg.val_interval=2",
    "train_dataloader.batch_size=2",
    "train_dataloader.num_workers=0",
    "train_dataloader.persistent_workers=False",
    "train_dataloader.dataset.count=4",
    "val_dataloader.dataset.count=1",
    "val_dataloader.dataset.size=(64,64)",
    "val_dataloader.num_workers=0",
]


@pytest.fixture(scope="module", autouse=True)
def _scope():
    init_default_scope("mmseg")


def measured(config, folder):
    """Figures of `ovseg test` on the images of the validation."""
    words = [str(config), str(folder / "weights.safetensors"), "--work-dir", str(folder / "test")]
    options = [
        "test_dataloader.dataset.split=val",
        *(word.replace("val_", "test_") for word in FEW if word.startswith("val_")),
    ]
    assert main(["test", *words, "--device", "cpu", "--cfg-options", *options]) == 0
    return json.loads((folder / "test" / "result.json").read_text())


def trained(config, folder):
    words = [str(config), "--work-dir", str(folder), "--device", "cpu", *FEW]
    assert main(["train", *words]) == 0
    return load_file(folder / "weights.safetensors")


def test_clip_dinoiser_gives_the_four_keys_of_its_head(tmp_path):
    weights = trained(DINOISER, tmp_path)
    assert set(weights) == set(HEAD_KEYS)
    saved = read_runner_checkpoint(tmp_path / "iter_2.pth")["state_dict"]
    assert {name.rsplit("core.", 1)[-1] for name in saved} == set(HEAD_KEYS)
    log = rows(tmp_path)
    assert "loss_corr" in log[0]
    assert "mIoU" in log[-1]
    assert measured(DINOISER, tmp_path)["mIoU"] == pytest.approx(log[-1]["mIoU"], abs=0.01)
    head = init_model(str(DINOISER), str(tmp_path / "iter_2.pth"), device="cpu").pipeline.head
    assert all(torch.equal(head.state_dict()[name], weights[name]) for name in HEAD_KEYS)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (DINOISER, "model.train_cfg.dino.pretrained"),
        (PLUS, "model.teacher.backbone.pretrained"),
        (ROOT / "declip" / "declip_tiny_scenes.py", "model.train_cfg.vfm.pretrained"),
    ],
    ids=["clip_dinoiser", "maskclip_plus", "declip"],
)
def test_a_teacher_that_is_not_there_stops_before_the_first_iteration(
    tmp_path, monkeypatch, capfd, config, key
):
    def too_late(*args, **kwargs):
        raise AssertionError("an iteration was run")

    monkeypatch.setattr("mmengine.model.BaseModel.train_step", too_late)
    missing = tmp_path / "absent.safetensors"
    words = [str(config), "--work-dir", str(tmp_path / "run"), "--device", "cpu"]
    options = [*FEW, "train_cfg.max_iters=20", f"{key}={missing}"]
    assert main(["train", *words, *options]) == 1
    assert "absent.safetensors" in capfd.readouterr().err


def test_the_published_recipe_of_clip_dinoiser():
    config = Config.fromfile(ROOT / "clip_dinoiser" / "clip_dinoiser_vit_b16_imagenet.py")
    recipe = build_recipe(to_dict(config.model.train_cfg))
    assert recipe.gamma == 0.2
    loader = config.train_dataloader
    steps = -(-loader.dataset.draw // loader.batch_size) * config.train_cfg.max_epochs
    assert steps == 6300
    rate = config.optim_wrapper.optimizer.lr
    factor = config.optim_wrapper.paramwise_cfg.custom_keys.bkg_decoder.lr_mult
    rates = {"obj_proj": rate, "bkg_decoder": rate * factor}
    assert rates == pytest.approx(LEARNING_RATES)
    assert config.param_scheduler[0].milestones == [MILESTONE]


def test_frozen_towers_stay_frozen_and_in_eval(tmp_path):
    model = MODELS.build(Config.fromfile(DINOISER).model)
    model.train()
    assert not model.backbone.training
    assert model.decode_head.training
    trained_parts = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained_parts == {
        "decode_head.core.obj_proj.weight",
        "decode_head.core.obj_proj.bias",
    }


def test_maskclip_plus_learns_without_labels_and_keeps_no_teacher(tmp_path):
    weights = trained(PLUS, tmp_path)
    assert not [name for name in weights if "clip" in name or "teacher" in name]
    text = weights["decode_head.text_embeddings"]
    torch.testing.assert_close(text.norm(dim=1), torch.ones(len(text)))
    assert measured(PLUS, tmp_path)["mIoU"] == pytest.approx(rows(tmp_path)[-1]["mIoU"], abs=0.01)


def test_the_train_tool_of_mmseg_trains_our_config(monkeypatch, tmp_path):
    words = [str(DINOISER), "--work-dir", str(tmp_path), *FEW]
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    runpy.run_path(str(TRAIN_TOOL), run_name="__main__")
    assert set(load_file(tmp_path / "weights.safetensors")) == set(HEAD_KEYS)
    assert (tmp_path / "curves.png").is_file()


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(ROOT.glob("maskclip_plus/*_r*.py"))],
    ids=lambda path: path.stem,
)
def test_published_recipes_build(path, monkeypatch):
    config = Config.fromfile(path)
    model = config.model
    model.pretrained = None
    model.backbone.update(depth=18, base_channels=4, stem_channels=4, norm_cfg={"type": "BN"})
    module = model.decode_head.decode_module
    module.update(in_channels=32, norm_cfg={"type": "BN"})
    if "c1_in_channels" in module:
        module.c1_in_channels = 4
    built = MODELS.build(model)
    names = built.decode_head.vocabulary.classes
    assert built.num_classes == len(names) + (built.decode_head.bg_embeddings is not None)
    assert config.train_cfg.max_iters == config.param_scheduler[-1].end
    assert all(index < built.num_classes for index in built.unseen)
    assert built.self_training or built.self_training_from is None or built.self_training_from > 1
