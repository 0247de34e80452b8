"""FOUND: its two files, or one, and its maps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ovseg.errors import CheckpointError
from ovseg.models.found import FoundEncoder, build_found, coarse_background

SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 3}


@pytest.fixture(scope="module")
def found() -> FoundEncoder:
    torch.manual_seed(0)
    return build_found(SMALL, None)


@torch.inference_mode()
def test_maps_have_the_asked_grid(found: FoundEncoder) -> None:
    images = torch.rand(2, 3, 48, 32)
    assert found(images).shape == (2, 1, 6, 4)
    soft = found.foreground(images, (3, 2))
    assert soft.shape == (2, 1, 3, 2)
    assert 0 < float(soft.min()) <= float(soft.max()) < 1


@torch.inference_mode()
def test_published_files_are_two(found: FoundEncoder, tmp_path: Path) -> None:
    torch.save(found.dino.model.state_dict(), tmp_path / "dino.pth")
    torch.save({"decoder": found.decoder.state_dict()}, tmp_path / "decoder_weights.pt")
    again = build_found(SMALL, tmp_path / "dino.pth", tmp_path / "decoder_weights.pt")
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(again(image), found(image))
    with pytest.raises(CheckpointError, match=r"2 missing.*weight 1x12x1x1"):
        build_found(SMALL, tmp_path / "dino.pth")
    with pytest.raises(CheckpointError, match="missing"):
        build_found(SMALL, tmp_path / "dino.pth", tmp_path / "dino.pth")
    with pytest.raises(CheckpointError, match="no such weights file"):
        build_found(SMALL, tmp_path / "dino.pth", tmp_path / "absent.pt")


@torch.inference_mode()
def test_one_file_may_hold_both(found: FoundEncoder, tmp_path: Path) -> None:
    decoder = {f"decoder.{name}": value for name, value in found.decoder.state_dict().items()}
    save_file({**found.dino.model.state_dict(), **decoder}, tmp_path / "both.safetensors")
    again = build_found(SMALL, tmp_path / "both.safetensors")
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(again(image), found(image))


def test_coarse_background_is_what_looks_like_the_least_attended_patch() -> None:
    keys = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]])
    attention = torch.zeros(1, 1, 4, 4)
    attention[0, 0, 0, 1:] = torch.tensor([0.1, 0.3, 0.6])
    mask = coarse_background(attention, keys, (1, 3), reweight=False)
    assert mask.tolist() == [[[1.0, 1.0, 0.0]]]
