"""Data of mask-adapted CLIP's training, and rows of several processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmseg.registry import DATASETS
from PIL import Image

from ovseg.errors import DatasetError, InputError
from ovseg.mm.training import mask_adaptation
from ovseg.training.mask_adaptation import FILL

PIPELINE = [{"type": "LoadRegion"}, {"type": "RandomRegionCrop", "size": 16}]


@pytest.fixture
def dataset(tmp_path):
    """An image whose left half is blank, with and without a file that says so."""
    pixels = np.full((40, 40, 3), 250, np.uint8)
    pixels[:, :20] = FILL
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray((np.arange(40) >= 20).repeat(40).reshape(40, 40).T).save(tmp_path / "m.png")
    rows = ["filepath\ttitle\tmask", "a.png\tcat\t", "a.png\tdog\tm.png"]
    (tmp_path / "pairs.tsv").write_text("\n".join(rows) + "\n")
    return DATASETS.build(
        {
            "type": "MaskTextPairDataset",
            "ann_file": str(tmp_path / "pairs.tsv"),
            "pipeline": PIPELINE,
        }
    )


@pytest.mark.parametrize("index", [0, 1])
def test_items(dataset, index):
    item = dataset[index]
    assert item["title"] == ("cat", "dog")[index]
    assert item["inputs"].shape == (3, 16, 16)
    assert item["inputs"].dtype == torch.uint8
    assert item["mask"].shape == (16, 16)
    assert not item["mask"][:, :5].any()
    assert item["mask"][:, 11:].all()
    # Without a file the mixed pixels of the border count as kept.
    assert item["inputs"][:, item["mask"]].float().mean() > 200


def test_images_that_cannot_be_read(dataset, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.png"):
        dataset[0]


def test_a_mask_of_another_size(dataset, tmp_path):
    Image.new("L", (3, 4)).save(tmp_path / "m.png")
    with pytest.raises(DatasetError, match="4 x 3 pixels"):
        dataset[1]


def test_gradients_flow_through_own_rows_only(monkeypatch):
    """Two processes together have the gradients of one with the whole batch."""
    whole = torch.randn(4, 3, requires_grad=True)
    weights = torch.randn(4, 3)
    (whole * weights).sum().backward()
    parts = whole.detach().split(2)
    monkeypatch.setattr(mask_adaptation, "get_world_size", lambda: 2)
    monkeypatch.setattr(mask_adaptation, "all_gather", lambda _: list(parts))
    for rank, part in enumerate(parts):
        monkeypatch.setattr(mask_adaptation, "get_rank", lambda rank=rank: rank)
        own = part.clone().requires_grad_()
        rows = mask_adaptation.gather_rows(own)
        assert torch.equal(rows, whole)
        (rows * weights).sum().backward()
        assert torch.equal(own.grad, whole.grad[2 * rank : 2 * rank + 2])
