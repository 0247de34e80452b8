"""Every configuration loads, names its parts as the contract has it, and fits its data set."""

from pathlib import Path

import pytest
from mmengine.config import Config

from ovseg.datasets import BENCHMARKS
from ovseg.datasets.pairs import check_class_order
from ovseg.mm.plain import to_dict
from ovseg.pipeline import build_pipeline
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.registry import head_methods
from ovseg.zoo import MODELS

CONFIGS = Path(__file__).parents[1] / "configs"
MASKCLIP = sorted((CONFIGS / "maskclip").glob("*.py"))
ZOO = {
    "maskclip_vit_b16_original": "maskclip-vit-b16-original",
    "maskclip_vit_b16_laion2b": "maskclip-vit-b16-laion2b",
}


def read(path):
    return Config.fromfile(path, import_custom_modules=False)


def arch_and_data(path):
    data = next((name for name in BENCHMARKS if path.stem.endswith(f"_{name}")), "scenes")
    return path.stem.removesuffix(f"_{data}"), data


@pytest.mark.parametrize("arch", ZOO)
def test_there_is_one_for_every_benchmark(arch):
    assert all((CONFIGS / "maskclip" / f"{arch}_{name}.py").is_file() for name in BENCHMARKS)


@pytest.mark.parametrize("path", MASKCLIP, ids=lambda path: path.stem)
def test_words_fit_the_data_set(path):
    config, (_, data) = read(path), arch_and_data(path)
    vocabulary = Vocabulary.parse(config.model.vocabulary)
    if data in BENCHMARKS:
        row = BENCHMARKS[data]
        assert config.test_dataloader.dataset.type == row.dataset
        assert len(vocabulary) == row.num_classes
        assert (vocabulary.background is not None) == row.background
        assert config.test_evaluator.get("ignore_index", 255) == (row.ignore or 255)
    check_class_order(Vocabulary.builtin(data).classes, vocabulary.classes)
    assert config.test_evaluator.type == "OpenVocabIoUMetric"
    assert config.custom_imports == {"imports": ["ovseg.mm"], "allow_failed_imports": False}


@pytest.mark.parametrize("path", MASKCLIP, ids=lambda path: path.stem)
def test_the_model_is_the_one_of_the_zoo_and_builds(path):
    arch, data = arch_and_data(path)
    spec = to_dict(read(path).model.to_dict())
    del spec["vocabulary"]
    if arch in ZOO:
        expected = MODELS[ZOO[arch]].fresh_spec()
        for name in ("short_side", "long_side"):
            if name in spec["test_cfg"]:
                expected["test_cfg"][name] = spec["test_cfg"][name]
        assert spec == expected
        # Real weights cannot be had here: the bundled ones, read as the others would be.
        tiny = {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny.safetensors"}
        spec["backbone"] = {**spec["backbone"], **tiny}
    settings = build_pipeline(spec, cache_dir=None).protocol()
    if arch == "maskclip_vit_b16_original":
        sides = {"cityscapes": (512, 1024)}
        sides |= dict.fromkeys(("context59", "context60", "context459"), (520, 520))
        assert (settings["short_side"], settings["long_side"]) == sides.get(data, (512, 2048))


def test_names_are_method_arch_data():
    for method in head_methods():
        for path in (CONFIGS / method).glob("*.py"):
            assert path.stem.startswith(f"{method}_")
