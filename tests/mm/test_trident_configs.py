"""The benchmarks' configurations of Trident: words, windows, thresholds; and mmseg's own tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.apis import inference_model, init_model

from ovseg.datasets import BENCHMARKS, find_benchmark
from ovseg.errors import ConfigError
from ovseg.mm.plain import to_dict
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.registry import HEADS, REFINERS
from ovseg.scenes import draw_scene
from ovseg.utils.plain_data import resolve_type
from ovseg.zoo import model_entry

FOLDER = Path(__file__).parents[2] / "configs" / "trident"
BENCHMARK_FILES = sorted(path for path in FOLDER.glob("trident_vit_*.py"))
TINY = FOLDER / "trident_tiny_scenes.py"
SHORT_SIDES = {"voc20": 336, "cityscapes": 688} | dict.fromkeys(
    ("context59", "context60", "ade20k"), 576
)
THRESHOLDS = {"voc21": 0.2, "context60": 0.15, "coco_object": 0.25}
COS_FACS = {"voc20": 0.0, "cityscapes": 3.0}
COARSE = {"context59": 0.15, "context60": 0.15, "coco_object": 0.25, "coco_stuff164k": 0.05}
COARSE |= {"cityscapes": 0.1, "ade20k": 0.05}


def dataset_of(path: Path) -> str:
    return path.stem.split("_", 3)[3]


def test_there_is_one_for_every_benchmark() -> None:
    have = {path.stem.removeprefix("trident_") for path in BENCHMARK_FILES}
    assert {f"vit_b16_{name}" for name in BENCHMARKS} <= have
    eight = set(BENCHMARKS) - {"ade847", "context459"}
    assert {f"vit_{arch}_{name}" for arch in ("l14", "h14") for name in eight} <= have


@pytest.mark.parametrize("path", BENCHMARK_FILES, ids=lambda path: path.stem)
def test_the_published_protocol(path: Path) -> None:
    config, name = Config.fromfile(path), dataset_of(path)
    model, benchmark = to_dict(config.model), find_benchmark(name)
    assert model["vocabulary"] == benchmark.vocabulary("trident")
    assert len(Vocabulary.builtin(model["vocabulary"])) == benchmark.num_classes
    assert config.test_dataloader.dataset.type == benchmark.dataset
    windows = {"mode": "slide", "crop_size": 336, "stride": 112 if name == "voc20" else 224}
    windows |= {"short_side": SHORT_SIDES.get(name, 448), "long_side": 2048}
    windows |= {"threshold": THRESHOLDS[name]} if name in THRESHOLDS else {}
    assert model["test_cfg"] == windows
    _, head = resolve_type(model["decode_head"], HEADS, "decode_head")
    assert head["cos_fac"] == COS_FACS.get(name, 1.2)
    assert head["refine_neg_cos"] is (name not in ("cityscapes", "ade20k"))
    assert head.get("sam_tiles", 1) == (2 if name == "cityscapes" else 1)
    _, refiner = resolve_type(model["refiner"], REFINERS, "refiner")
    assert refiner["coarse_thresh"] == COARSE.get(name, 0.2)
    assert refiner["side_multiple"] == int(model["backbone"]["model"].split("-")[2])


@pytest.mark.parametrize("arch", ["vit_b16", "vit_l14", "vit_h14"])
def test_the_models_of_the_zoo_are_those_of_the_configurations(arch: str) -> None:
    model = to_dict(Config.fromfile(FOLDER / f"trident_{arch}_voc21.py").model)
    spec = model_entry(f"trident-{arch.replace('_', '-')}").fresh_spec()
    assert model["backbone"] == spec["backbone"]
    assert {key: model["decode_head"][key] for key in spec["decode_head"]} == spec["decode_head"]
    for key in ("crop_size", "stride", "short_side"):
        assert model["test_cfg"][key] == spec["test_cfg"][key]


def test_the_tiny_model_is_that_of_its_configuration() -> None:
    model = to_dict(Config.fromfile(TINY).model)
    assert {k: v for k, v in model.items() if k != "vocabulary"} == model_entry("trident-tiny").spec


def test_mmseg_runs_it_on_an_image() -> None:
    model = init_model(str(TINY), device="cpu")
    scene = draw_scene(1_000_000)
    found = inference_model(model, scene.image[:, :, ::-1].copy())
    labels = found.pred_sem_seg.data[0].numpy()
    expected = model.pipeline(scene.image, "scenes", want_scores=False).labels
    assert np.array_equal(labels, expected)
    with pytest.raises(ConfigError, match="OpenVocabSegmentor"):
        model.encode_decode(torch.rand(1, 3, 64, 64) * 255, [])
