"""The benchmarks' configurations of DeCLIP: words, windows, thresholds and temperatures."""

from pathlib import Path

import pytest
from mmengine.config import Config

from ovseg.datasets import find_benchmark
from ovseg.mm.plain import to_dict
from ovseg.pipeline import build_pipeline
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.zoo import model_entry

FOLDER = Path(__file__).parents[2] / "configs" / "declip"
PLAIN = {"short_side": 448, "long_side": 4096, "threshold": 0.0, "temperature": 40.0}
CHANGED = {
    "ade20k": {},
    "cityscapes": {"short_side": 560},
    "coco_object": {"long_side": 2048, "threshold": 0.2},
    "coco_stuff164k": {},
    "context59": {},
    "context60": {"threshold": 0.15},
    "voc20": {},
    "voc21": {"threshold": 0.4, "temperature": 80.0},
}


@pytest.mark.parametrize("name", CHANGED)
def test_the_published_protocol(name):
    config = Config.fromfile(FOLDER / f"declip_eva_b16_{name}.py")
    model, benchmark = to_dict(config.model), find_benchmark(name)
    head, windows = model["decode_head"], model["test_cfg"]
    assert (head["mode"], head["attn_scale"]) == ("csa", "sqrt_d")
    assert (windows["mode"], windows["crop_size"], windows["stride"]) == ("slide", 336, 112)
    found = {"threshold": 0.0, **windows, "temperature": head["temperature"]}
    assert {key: found[key] for key in PLAIN} == {**PLAIN, **CHANGED[name]}
    assert model["vocabulary"] == benchmark.vocabulary("declip")
    vocabulary = Vocabulary.builtin(model["vocabulary"])
    assert (len(vocabulary), vocabulary.background is not None) == (
        benchmark.num_classes,
        benchmark.background,
    )
    assert config.test_dataloader.dataset.type == benchmark.dataset


def test_the_model_of_the_zoo_is_that_of_the_configurations():
    model = to_dict(Config.fromfile(FOLDER / "declip_eva_b16_ade20k.py").model)
    del model["vocabulary"]
    assert model == model_entry("declip-eva-b16").fresh_spec()
    # Real weights cannot be had here: the bundled ones, read as the others would be.
    model["backbone"] |= {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny"}
    protocol = build_pipeline(model, cache_dir=None).protocol()
    assert (protocol["pad_mode"], protocol["cell_alignment"]) == ("around", "around")
    assert protocol["decode_head"]["type"] == "DeClipHead"
