"""Fixtures that many tests share."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

TINY_CLIP = {
    "embed_dim": 16,
    "quick_gelu": False,
    "vision_cfg": {
        "image_size": 32,
        "layers": 4,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
    },
    "text_cfg": {
        "context_length": 24,
        "vocab_size": 49408,
        "width": 16,
        "heads": 2,
        "layers": 2,
    },
}


@pytest.fixture(scope="session")
def tiny_clip_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Configuration (JSON) and random weights (safetensors) of a tiny CLIP with seeded numbers."""
    folder = tmp_path_factory.mktemp("tiny_clip")
    config, weights = folder / "tiny.json", folder / "tiny.safetensors"
    config.write_text(json.dumps(TINY_CLIP))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.CLIP(**TINY_CLIP)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, weights)
    return config, weights
