"""`ovseg train` over the tiny configurations of mask-adapted CLIP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ovseg.cli import main
from ovseg.masks.mask_prompts import read_prompts
from ovseg.mm.plain import to_dict
from ovseg.models.clip import build_clip
from ovseg.models.maskformer import MaskFormer
from ovseg.models.maskformer_backbones import ResNetFeatures
from ovseg.proposals.maskformer import MaskFormerProposer
from ovseg.scenes.world import draw_scene
from ovseg.training.region_pairs import cut_stored, write_pairs
from tests.mm.training.conftest import rows

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[3] / "configs" / "mask_adapted"
PROMPTS, PROPOSALS = (CONFIGS / f"mask_adapted_tiny_scenes{end}.py" for end in ("", "_proposals"))
FEW = ["train_cfg.max_iters=2", "train_dataloader.batch_size=2", "train_dataloader.num_workers=0"]
FEW += ["train_dataloader.persistent_workers=False", "default_hooks.checkpoint.interval=1"]


@pytest.fixture
def table(tmp_path):
    """Four pairs."""
    scene = draw_scene(3)
    masks = np.stack([scene.instances == number for number in range(4)])
    names = [region.name for region in scene.regions[:4]]
    return write_pairs(tmp_path / "pairs", cut_stored(scene.image, masks, names, 112))


@pytest.fixture
def train(tmp_path):
    def run(config, *options, words=(), name="run"):
        folder = tmp_path / name
        argv = ["train", str(config), "--work-dir", str(folder), "--device", "cpu", *words]
        return main([*argv, "--cfg-options", *FEW, *options]), folder

    return run


def test_prompts(train, table):
    options = (f"train_dataloader.dataset.ann_file={table}",)
    status, folder = train(PROMPTS, *options)
    assert status == 0
    assert [row["step"] for row in rows(folder)] == [1, 2]
    assert read_prompts(str(folder / "weights.safetensors")).shape == (3, 196, 128)
    (folder / "iter_2.pth").unlink()
    (folder / "last_checkpoint").write_text(str(folder / "iter_1.pth"))
    before = rows(folder)
    assert train(PROMPTS, *options, words=["--resume"])[0] == 0
    assert rows(folder) == before


def test_a_tuned_tower_goes_where_other_tuned_towers_go(train, table):
    options = (f"train_dataloader.dataset.ann_file={table}", "model.trained=tower")
    status, folder = train(PROMPTS, *options, "optim_wrapper.optimizer.lr=1e-4")
    assert status == 0
    tiny = "asset:clip_tiny"
    clip = build_clip(tiny, tiny, tuned=str(folder / "weights.safetensors"))
    changed = clip.model.visual.proj - build_clip(tiny, tiny).model.visual.proj
    assert changed.abs().max() > 0


def test_a_table_that_is_not_there(train, tmp_path, capsys):
    missing = tmp_path / "none.tsv"
    status, folder = train(PROMPTS, f"train_dataloader.dataset.ann_file={missing}")
    assert status != 0
    assert "none.tsv: the table of pairs cannot be read" in capsys.readouterr().err
    assert not list(folder.glob("*.pth"))


def test_proposals(train, tmp_path):
    status, folder = train(PROPOSALS, "train_dataloader.dataset.count=4")
    assert status == 0
    assert {"loss_class", "loss_mask_0", "loss_dice_1", "loss_pixel"} <= set(rows(folder)[0])
    from mmengine.config import Config

    model = to_dict(Config.fromfile(PROPOSALS).model.to_dict())
    made = MaskFormerProposer(
        model["backbone"], 64, str(folder / "weights.safetensors"), model["head"]
    )
    state = load_file(folder / "weights.safetensors")
    assert set(made.network.state_dict()) == set(state)


def test_norms_of_the_proposal_networks_do_not_decay():
    from mmengine.config import Config
    from mmengine.optim import build_optim_wrapper

    config = Config.fromfile(CONFIGS / "mask_adapted_r101c_coco_stuff164k_proposals.py")
    network = MaskFormer(ResNetFeatures("resnet101"), 8, width=32, layers=1)
    model = torch.nn.ModuleDict({"network": network})
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in wrapper.optimizer.param_groups:
        name, (parameter,) = names[id(group["params"][0])], group["params"]
        assert group["lr"] == pytest.approx(2e-5 if "backbone" in name else 2e-4)
        vector = parameter.ndim == 1 and ("backbone" in name or "norm" in name)
        assert (group["weight_decay"] == 0) == (vector or "query_embed" in name)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*coco*.py")), ids=lambda path: path.stem)
def test_published_numbers(path):
    from mmengine.config import Config

    config = Config.fromfile(path)
    optimizer, steps = config.optim_wrapper.optimizer, config.train_cfg.max_iters
    assert config.param_scheduler[-1].end == steps
    rate, decay = optimizer.lr, optimizer.weight_decay
    if path.stem.endswith("proposals"):
        assert (rate, decay) == ((6e-5, 0.01) if "swin" in path.stem else (2e-4, 1e-4))
        assert steps == 120000
        assert config.optim_wrapper.clip_grad.max_norm == 0.01
        return
    assert (rate, decay) == ((5e-6, 0.2) if path.stem.endswith("_ft") else (0.05, 0.0))
    assert (tuple(optimizer.betas), optimizer.eps) == ((0.9, 0.98), 1e-6)
    batch = 4 * config.train_dataloader.batch_size
    assert steps == 5 * (442117 // batch)
