"""The benchmarks' configurations of CLIP-DINOiser: words, windows, the rule of cleaning."""

from pathlib import Path

import pytest
from mmengine.config import Config

from ovseg.datasets import find_benchmark
from ovseg.heads.clip_dinoiser import MODES, ClipDinoiser
from ovseg.mm.plain import to_dict
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.registry import HEADS
from ovseg.utils.plain_data import resolve_type

FOLDER = Path(__file__).parents[2] / "configs" / "clip_dinoiser"
DATASETS = [
    "ade20k",
    "cityscapes",
    "coco_object",
    "coco_stuff164k",
    "context59",
    "context60",
    "voc20",
    "voc21",
]
CLEANED = {"coco_object", "voc21"}
ARCHS = dict(zip(("vit_b16", "vit_b16_direct"), MODES, strict=True))


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", DATASETS)
def test_the_published_protocol(name, arch):
    config = Config.fromfile(FOLDER / f"clip_dinoiser_{arch}_{name}.py")
    model, benchmark = to_dict(config.model), find_benchmark(name)
    assert model["vocabulary"] == benchmark.vocabulary("clip_dinoiser")
    assert model["templates"] == "imagenet80"
    windows = {"crop_size": 448, "stride": 224, "short_side": 448, "long_side": 2048}
    assert model["test_cfg"] == {"mode": "slide", **windows}
    _, options = resolve_type(model["decode_head"], HEADS, "decode_head")
    assert options["mode"] == ARCHS[arch]
    assert (options["gamma"], options["delta"]) == (0.2, 0.99)
    vocabulary = Vocabulary.builtin(model["vocabulary"])
    assert len(vocabulary) == benchmark.num_classes
    head = ClipDinoiser(clean_background=options["clean_background"])
    assert head.cleans_background(vocabulary) is (name in CLEANED)
    # What is cleaned stands in the configuration, not in what the list of words is called.
    if vocabulary.background is not None:
        assert options["clean_background"] is (name in CLEANED)
    assert config.test_dataloader.dataset.type == benchmark.dataset


def test_the_models_of_the_zoo_are_those_of_the_configurations():
    from ovseg.zoo import model_entry

    for arch, zoo in (
        ("vit_b16", "clip-dinoiser-vit-b16"),
        ("vit_b16_direct", "clip-dinoiser-vit-b16-direct"),
    ):
        model = to_dict(Config.fromfile(FOLDER / f"clip_dinoiser_{arch}_voc20.py").model)
        spec = model_entry(zoo).fresh_spec()
        for key in ("pretrained", "dino", "found"):
            assert model["decode_head"].get(key) == spec["decode_head"].get(key)
        assert model["backbone"] == spec["backbone"]
