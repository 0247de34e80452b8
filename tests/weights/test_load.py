from __future__ import annotations

import copy
import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ovseg.errors import CheckpointError
from ovseg.models.clip import build_clip
from ovseg.models.clip_weights import suggest_model


def altered(files: tuple[Path, Path], folder: Path, change) -> Path:
    """The tiny weights with a change, in a new file."""
    state = load_file(files[1])
    change(state)
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "w.safetensors")
    return folder / "w.safetensors"


def test_missing_and_left_over_names(tiny_clip_files, tmp_path: Path) -> None:
    def change(state: dict) -> None:
        del state["visual.ln_post.bias"]
        state["visual.ln_post.offset"] = torch.zeros(3)

    path = altered(tiny_clip_files, tmp_path, change)
    with pytest.raises(CheckpointError) as caught:
        build_clip(tiny_clip_files[0], path)
    message = str(caught.value)
    for words in (
        "0 of another shape, 1 missing, 1 left over",
        "missing visual.ln_post.bias 32",
        "left over visual.ln_post.offset 3",
        str(path),
    ):
        assert words in message


def test_wrong_architecture_is_named(tmp_path: Path) -> None:
    """Shapes of ViT-L-14 under ViT-B-16: first five mismatches and the right name."""
    width, layers = 1024, 24
    state = {
        "visual.conv1.weight": torch.zeros(width, 3, 14, 14),
        "visual.proj": torch.zeros(width, 768),
        "visual.ln_post.weight": torch.zeros(width),
        "visual.class_embedding": torch.zeros(width),
    }
    state |= {f"visual.transformer.resblocks.{i}.ln_1.bias": torch.zeros(1) for i in range(layers)}
    assert suggest_model(state, ["ViT-B-16", "ViT-L-14", "ViT-L-14-336"]) == "ViT-L-14"
    assert suggest_model({"x": torch.zeros(1)}, ["ViT-L-14"]) is None
    save_file(state, tmp_path / "large.safetensors")
    with pytest.raises(CheckpointError) as caught:
        build_clip("ViT-B-16", tmp_path / "large.safetensors")
    message = str(caught.value)
    assert "visual.conv1.weight is 1024x3x14x14, the model has 768x3x16x16" in message
    assert "give the model ViT-L-14 instead of ViT-B-16" in message
    assert message.count(";") <= 6


def test_position_table_of_another_grid(tiny_clip_files, tmp_path: Path, caplog) -> None:
    config = json.loads(tiny_clip_files[0].read_text())
    wide = copy.deepcopy(config)
    wide["vision_cfg"]["image_size"] = [48, 32]
    with caplog.at_level(logging.WARNING):
        encoder = build_clip(wide, tiny_clip_files[1])
    assert "position table of 17 rows resized to the model's grid 6 x 4" in caplog.text
    assert encoder.model.visual.positional_embedding.shape == (25, 32)
    trained = load_file(tiny_clip_files[1])["visual.positional_embedding"]
    assert torch.equal(encoder.model.visual.positional_embedding[0], trained[0])


def test_position_table_that_is_not_square(tiny_clip_files, tmp_path: Path) -> None:
    def change(state: dict) -> None:
        state["visual.positional_embedding"] = torch.zeros(1 + 15, 32)

    with pytest.raises(CheckpointError, match=r"visual\.positional_embedding: .*15 rows"):
        build_clip(tiny_clip_files[0], altered(tiny_clip_files, tmp_path, change))


def test_one_tower_alone(tiny_clip_files, tmp_path: Path) -> None:
    def vision_only(state: dict) -> None:
        for name in [n for n in state if not n.startswith("visual.")]:
            del state[name]

    path = altered(tiny_clip_files, tmp_path, vision_only)
    with pytest.raises(CheckpointError, match="missing"):
        build_clip(tiny_clip_files[0], path)
    encoder = build_clip(tiny_clip_files[0], path, towers="vision")
    with pytest.raises(CheckpointError, match="no text encoder"):
        encoder.encode_text(torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(CheckpointError, match="missing"):
        build_clip(tiny_clip_files[0], path, towers="text")
