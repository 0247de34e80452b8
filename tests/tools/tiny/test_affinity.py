import numpy as np
import torch

from ovseg.models.dino import build_vit
from tools.tiny.affinity import (
    AffinityLoss,
    affinity_features,
    pair_accuracy,
    patch_batch,
    patch_regions,
)

CONFIG = {
    "img_size": 64,
    "patch_size": 8,
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 2,
    "num_classes": 0,
    "layer_norm_eps": 1e-6,
}


def test_mixed_patches_belong_to_no_region():
    map_ = np.zeros((16, 16), np.uint8)
    map_[:, 8:] = 1
    map_[8:, :4] = 1
    assert patch_regions(map_, 8).tolist() == [0, 1, -1, 1]


def test_pixels_of_no_region_make_no_region():
    assert patch_regions(np.full((8, 8), 255, np.uint8), 8).tolist() == [-1]


def test_features_are_the_models_own():
    torch.manual_seed(0)
    model = build_vit(CONFIG)[0].eval()
    image = torch.rand(1, 3, 64, 64)
    seen = []
    hook = model.blocks[-1].attn.qkv.register_forward_hook(lambda m, i, o: seen.append(o))
    with torch.no_grad():
        expected = model.forward_features(image)
        features, values = affinity_features(model, image)
    hook.remove()
    assert torch.allclose(features, expected[:, 1:], atol=1e-5)
    assert torch.allclose(values, seen[0][:, 1:, 64:], atol=1e-5)


def test_a_few_steps_teach_what_belongs_together(store):
    torch.manual_seed(0)
    model = build_vit(CONFIG)[0]
    loss = AffinityLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    before = pair_accuracy(model, store, 4, 64, 8)["accuracy"]
    for step in range(12):
        parts = loss(patch_batch(store, np.random.default_rng(step), 4, 64, 8))
        optimizer.zero_grad()
        sum(parts.values()).backward()
        optimizer.step()
    assert set(parts) == {"features", "values"}
    assert pair_accuracy(model, store, 4, 64, 8)["accuracy"] > before + 5
