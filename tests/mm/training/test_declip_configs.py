"""DeCLIP's training configurations: the tiny one for a few iterations, the published recipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS

from ovseg.mm.plain import to_dict
from ovseg.mm.safe_load import read_runner_checkpoint
from ovseg.models.clip import build_clip
from ovseg.training.affinity_teachers import VFMS
from ovseg.training.declip import rate_factor
from ovseg.training.recipes import build_recipe
from tests.mm.training.conftest import rows
from tests.mm.training.test_configs import ROOT, measured, trained

pytestmark = pytest.mark.slow

TINY = ROOT / "declip" / "declip_tiny_scenes.py"
PUBLISHED = sorted((ROOT / "declip").glob("*_coco.py"))


@pytest.fixture(scope="module", autouse=True)
def _scope():
    init_default_scope("mmseg")


def test_the_average_with_the_first_weights_is_validated_and_released(tmp_path):
    text = TINY.read_text()
    config = tmp_path / "tiny.py"
    text = text.replace('"../_base_', f'"{ROOT / "_base_"}')
    text = re.sub(r"alpha=[\d.]+", "alpha=0.5", text)
    config.write_text(re.sub(r"(end|begin)=\d+", r"\1=1", text))
    weights = trained(config, tmp_path / "run")
    start = build_clip("asset:clip_tiny", "asset:clip_tiny").model.state_dict()
    assert weights.keys() == start.keys()
    saved = read_runner_checkpoint(tmp_path / "run" / "iter_2.pth")["state_dict"]
    moved = 0
    for name, tensor in weights.items():
        student = saved[f"backbone.clip.model.{name}"]
        torch.testing.assert_close(tensor, (student + start[name]) / 2)
        moved += not torch.equal(student, start[name])
    assert moved
    resumed = MODELS.build(Config.fromfile(config).model)
    resumed.load_state_dict(saved)
    teacher = resumed.recipe.teacher.visual.state_dict()
    assert all(torch.equal(tensor, start[f"visual.{name}"]) for name, tensor in teacher.items())
    log = rows(tmp_path / "run")
    assert {"loss_content", "loss_context"} <= log[0].keys()
    result = measured(config, tmp_path / "run")
    assert result["mIoU"] == pytest.approx(log[-1]["mIoU"], abs=0.01)


def test_groups_hold_what_is_trained_once():
    config = Config.fromfile(TINY)
    model = MODELS.build(config.model)
    options = dict(config.optim_wrapper)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.get(options.pop("constructor"))
    groups = constructor(options)(model).optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.0, 0.1]
    held = [id(p) for group in groups for p in group["params"]]
    wanted = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(held) == sorted(wanted)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_recipes(path: Path):
    config = Config.fromfile(path)
    recipe = build_recipe(to_dict(config.model.train_cfg))
    assert (recipe.content_weight, recipe.context_weight) == (1.0, 0.1)
    assert recipe.blocks is None
    regions = config.train_pipeline[1]
    teacher = config.model.train_cfg.vfm
    patches = {"dinov2-B": 14, "dinov2-L": 14}
    student = 14 if "l14" in path.stem else 16
    assert teacher in VFMS
    assert regions.size // student * patches[teacher] == regions.vfm_size


def test_the_schedule_is_a_warm_up_and_a_cosine():
    total = 3000
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedulers = [
        PARAM_SCHEDULERS.build({"end": total, **options, "optimizer": optimizer})
        for options in Config.fromfile(PUBLISHED[0]).param_scheduler
    ]
    for step in range(total):
        expected = rate_factor(step, 1000, total)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, abs=1e-9)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
