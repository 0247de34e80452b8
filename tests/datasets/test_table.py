"""The table of benchmarks agrees with the vocabularies and with the configurations."""

import subprocess
import sys
from pathlib import Path

import pytest

from ovseg.datasets import BENCHMARKS, find_benchmark
from ovseg.errors import ConfigError
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.registry import head_methods

CONFIGS = Path(__file__).parents[2] / "configs" / "_base_" / "datasets"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_method_has_a_list_of_the_right_length(name):
    benchmark = BENCHMARKS[name]
    labels = Vocabulary.builtin(name).classes
    assert len(labels) == benchmark.num_classes
    for method in head_methods():
        vocabulary = Vocabulary.builtin(benchmark.vocabulary(method))
        assert len(vocabulary) == benchmark.num_classes
        assert (vocabulary.background == 0) == benchmark.background


def test_methods_ask_their_own_lists():
    assert find_benchmark("context59").vocabulary("mask_adapted") == "context59_ovseg"
    assert find_benchmark("ade20k").vocabulary("maskclip") == "ade20k_mmseg"
    assert find_benchmark("voc21").vocabulary("maskclip") == "voc21"
    assert find_benchmark("coco_object").vocabulary("declip") == "coco_object"
    with pytest.raises(ConfigError, match="unknown method 'sclip'"):
        find_benchmark("voc21").vocabulary("sclip")


def test_official_counts_and_what_is_partial():
    counts = {name: benchmark.expected for name, benchmark in BENCHMARKS.items()}
    assert counts["voc20"] == counts["voc21"] == (1449,)
    assert counts["ade20k"] == counts["ade847"] == (2000,)
    assert counts["coco_object"] == counts["coco_stuff164k"] == (5000,)
    assert counts["cityscapes"] == (500,)
    for name in ("context59", "context60", "context459"):
        assert BENCHMARKS[name].is_complete(5104)
        assert BENCHMARKS[name].is_complete(5105)
        assert not BENCHMARKS[name].is_complete(5103)


def test_every_benchmark_has_a_base_configuration():
    written = {path.stem for path in CONFIGS.glob("*.py")} - {"scenes"}
    assert written == set(BENCHMARKS)


def test_names_are_found_and_near_misses_named():
    assert find_benchmark("COCO-Object") is BENCHMARKS["coco_object"]
    assert find_benchmark("ADE20K847Dataset") is BENCHMARKS["ade847"]
    with pytest.raises(ConfigError, match="unknown data set 'ade150'.*perhaps"):
        find_benchmark("ade150")
    with pytest.raises(ConfigError, match="one of ade20k"):
        find_benchmark("imagenet")


def test_highest_id_in_the_files():
    assert BENCHMARKS["ade20k"].highest_id == 150
    assert BENCHMARKS["voc20"].highest_id == BENCHMARKS["voc21"].highest_id == 20
    assert BENCHMARKS["coco_stuff164k"].highest_id == 170


def test_import_is_light():
    script = (
        "import sys; import ovseg.datasets;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'cv2', 'mmengine', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
