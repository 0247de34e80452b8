import json
from pathlib import Path

import numpy as np
import pytest
import torch

import ovseg
from ovseg.models.sam import build_sam_network
from tools.tiny.prompt_batches import prompt_batch
from tools.tiny.sam import PromptLoss, mask_iou, mask_loss, prompt_iou
from tools.tiny.scene_store import SceneStore

ASSETS = Path(ovseg.__file__).parent / "assets"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    config = json.loads((ASSETS / "sam_tiny.json").read_text())
    config["image_encoder"] |= {
        "img_size": 64,
        "embed_dim": 16,
        "depth": 2,
        "global_attn_indexes": [1],
    }
    config["prompt_encoder"] |= {"image_embedding_size": [8, 8], "input_image_size": [64, 64]}
    torch.manual_seed(0)
    return build_sam_network(config), SceneStore(tmp_path_factory.mktemp("sam"), range(4), 64)


def test_every_kind_of_prompt_gives_a_finite_loss_that_teaches(small):
    model, store = small
    batch = prompt_batch(store, np.random.default_rng(1), 5)
    batch.use = [("boxes",), ("points",), ("boxes", "points"), ("coarse", "points"), ("coarse",)]
    parts = PromptLoss(model)(batch)
    assert set(parts) == {"mask", "best", "iou"}
    sum(parts.values()).backward()
    untouched = {n for n, p in model.named_parameters() if p.grad is None}
    assert not {n for n in untouched if n.startswith(("image_encoder", "mask_decoder"))}
    assert all(torch.isfinite(v) for v in parts.values())


def test_the_mask_loss_is_zero_for_sure_hits_and_large_for_sure_misses():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    right = 40 * (2 * mask - 1)
    assert float(mask_loss(right, mask)) == pytest.approx(0, abs=1e-4)
    assert float(mask_loss(-right, mask)) > 20


def test_mask_iou_counts_pixels():
    wanted = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    found = torch.tensor([[[[1.0, -1.0], [1.0, -1.0]]]])
    assert float(mask_iou(found, wanted)) == pytest.approx(1 / 3)


def test_validation_is_a_percentage(small):
    assert 0 <= prompt_iou(*small, 2)["mask_iou"] <= 100


def test_the_bundled_configuration_is_small_enough():
    model = build_sam_network(json.loads((ASSETS / "sam_tiny.json").read_text()))
    assert sum(p.numel() for p in model.parameters()) * 2 < 2e6
