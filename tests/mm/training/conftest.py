"""A tiny training: images in a folder, a toy model, and `ovseg train` in-process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovseg.cli import main

CONFIG = """
custom_imports = dict(imports=["ovseg.mm", "{toy}"])
default_scope = "mmseg"
model = dict(type="ToySegmentor")
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type="{sampler}", shuffle=True),
    dataset=dict(
        type="ImageFolderDataset",
        data_root={root!r},
        pipeline=[
            dict(type="LoadImage"),
            dict(type="ImageCrop", size=16),
            dict(type="PackSegInputs"),
        ],
    ),
)
train_cfg = dict({loop})
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1, momentum=0.9))
param_scheduler = [dict(type="PolyLR", end=8, by_epoch=False)]
default_hooks = dict(
    checkpoint=dict(type="CheckpointHook", interval={interval}, max_keep_ckpts=2),
    logger=dict(type="LoggerHook", interval=2),
)
log_processor = dict(by_epoch={by_epoch})
randomness = dict(seed=3)
{extra}
"""


@pytest.fixture
def images(tmp_path):
    """A folder of five images of random colors."""
    folder = tmp_path / "images" / "class"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(5):
        pixels = generator.integers(0, 255, (20 + number, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder.parent


@pytest.fixture
def write_config(tmp_path, images):
    """Write the configuration of a training of 8 iterations or 2 epochs."""

    def write(by_epoch=False, **changes):
        values = {
            "root": str(images),
            "by_epoch": by_epoch,
            "sampler": "DefaultSampler" if by_epoch else "InfiniteSampler",
            "loop": 'type="IterBasedTrainLoop", max_iters=8',
            "interval": 2,
            "extra": "",
            "toy": "tests.mm.training.toy_model",
        }
        if by_epoch:
            values |= {"loop": "by_epoch=True, max_epochs=3", "interval": 1}
        path = tmp_path / "toy.py"
        path.write_text(CONFIG.format(**{**values, **changes}))
        return path

    return write


@pytest.fixture
def train(tmp_path, write_config):
    """Run `ovseg train`; return the status and the work folder."""

    def run(*words, name="work", by_epoch=False, **changes):
        config = write_config(by_epoch, **changes)
        folder = tmp_path / name
        argv = ["train", str(config), "--work-dir", str(folder), "--device", "cpu"]
        return main([*argv, *map(str, words)]), folder

    return run


def rows(folder: Path) -> list[dict[str, float]]:
    """The lines of a training's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
