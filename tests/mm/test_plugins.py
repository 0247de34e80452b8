"""A head from outside the package under `ovseg test` and under mmseg's own tools."""

import json
import runpy
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest
from mmseg.apis import inference_model, init_model
from mmseg.registry import MODELS

import ovseg
from ovseg.cli import main
from ovseg.errors import ConfigError
from ovseg.pipeline import Pipeline, build_pipeline
from ovseg.registry import HEADS
from ovseg.scenes.world import SPLITS, draw_scene
from ovseg.zoo import model_entry
from tests.plugin_files import Expected, write_plugin

pytestmark = pytest.mark.slow

TEST_TOOL = str(Path(mmseg.__file__).parent / ".mim" / "tools" / "test.py")
SIZE = (48, 64)
SEEDS = SPLITS["test"][:2]
SMALL = [
    "test_dataloader.dataset.count=2",
    "test_dataloader.dataset.size=(48,64)",
    "test_dataloader.num_workers=0",
]
ORDERS = [("ovseg.mm", "{}"), ("{}", "ovseg.mm")]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def model():
    tiny = build_pipeline(model_entry("maskclip-tiny").spec)
    return Pipeline(tiny.clip, Expected(), templates="photo", settings=tiny.settings)


@pytest.fixture(scope="module")
def accuracy(model):
    right = total = 0
    for seed in SEEDS:
        scene = draw_scene(seed, SIZE)
        counted = scene.labels != 255
        right += int((model(scene.image, "scenes").labels == scene.labels)[counted].sum())
        total += int(counted.sum())
    return 100 * right / total


def prepared(tmp_path, tag, order):
    plugin = write_plugin(tmp_path, tag)
    config = plugin.config(tmp_path, *(name.format(plugin.module) for name in order))
    assert plugin.head not in HEADS
    return plugin, config


@pytest.mark.parametrize("order", ORDERS, ids=["last", "first"])
def test_the_test_tool_of_mmseg(tmp_path, monkeypatch, accuracy, order):
    _, config = prepared(tmp_path, f"tool{ORDERS.index(order)}", order)
    words = ["test.py", config, "none", "--work-dir", "work", "--cfg-options", *SMALL]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.syspath_prepend(tmp_path)
    runpy.run_path(TEST_TOOL, run_name="__main__")
    (result,) = Path("work").glob("*/*.json")
    assert json.loads(result.read_text())["aAcc"] == pytest.approx(accuracy, abs=0.01)


@pytest.mark.parametrize("order", ORDERS, ids=["last", "first"])
def test_init_model(tmp_path, monkeypatch, model, order):
    plugin, config = prepared(tmp_path, f"api{ORDERS.index(order)}", order)
    monkeypatch.syspath_prepend(tmp_path)
    scene = draw_scene(SEEDS[0], SIZE)
    found = inference_model(init_model(config, device="cpu"), scene.image[:, :, ::-1].copy())
    expected = model(scene.image, "scenes").labels
    assert np.array_equal(found.pred_sem_seg.data[0].numpy(), expected)
    assert getattr(ovseg.mm, plugin.head) is MODELS.get(plugin.head)


@pytest.mark.parametrize("order", [*ORDERS, ("ovseg.mm",)], ids=["last", "first", "option"])
def test_ovseg_test(tmp_path, accuracy, order):
    tag = f"measured{len(order)}{order[0].strip('{}')[:1]}"
    plugin, config = prepared(tmp_path, tag, order)
    option = ["--plugin", plugin.module] if len(order) == 1 else []
    words = ["test", config, *option, "--work-dir", "work", "--cfg-options", *SMALL]
    assert main(words) == 0
    result = json.loads(Path("work/result.json").read_text())
    assert result["aAcc"] == pytest.approx(accuracy, abs=1e-9)
    assert result["protocol"]["decode_head"]["type"] == plugin.head


def test_without_the_plugin_the_head_is_unknown(tmp_path, capsys):
    _, config = prepared(tmp_path, "unasked", ("ovseg.mm",))
    assert main(["test", config, "--work-dir", "work", "--cfg-options", *SMALL]) == 2
    error = capsys.readouterr().err
    assert "unknown type 'NearUnaskedHead'" in error
    assert "--plugin" in error


def test_a_configuration_whose_import_fails_names_the_place(tmp_path, capsys):
    _, config = prepared(tmp_path, "failing", ("ovseg.mm", "near_failing"))
    Path("near_failing.py").write_text("\nimport nothing_here\n")
    assert main(["test", config]) == 2
    error = capsys.readouterr().err
    assert f"plug-in near_failing, {tmp_path / 'near_failing.py'}:2: cannot be imported" in error
    assert "No module named 'nothing_here'" in error


def test_a_head_under_the_plain_encoder_decoder(model):
    @ovseg.register_head("PlainHead")
    class Plain(Expected):
        pass

    plain = MODELS.build(
        {
            "type": "EncoderDecoder",
            "data_preprocessor": {"type": "SegDataPreProcessor", "bgr_to_rgb": True},
            "backbone": {"type": "ClipBackbone", "model": "asset:clip_tiny"},
            "decode_head": {"type": "PlainHead", "vocabulary": "sky, grass", "templates": "photo"},
            "test_cfg": {"mode": "whole"},
        }
    ).eval()
    assert plain.decode_head.core_type is Plain
    assert plain.num_classes == 2


def test_a_refiner_follows_too():
    from ovseg.refine import Pamr

    @ovseg.register_refiner("LatePamrRefiner")
    class LatePamr(Pamr):
        pass

    assert MODELS.get("LatePamrRefiner") is LatePamr


def test_a_name_of_mmseg_is_not_taken_away():
    theirs = MODELS.get("FCNHead")
    with pytest.raises(ConfigError, match=r"'FCNHead' is one of mmseg's, for mmseg\..*\.FCNHead"):

        @ovseg.register_head("FCNHead")
        class FCN(Expected):
            pass

    assert "FCNHead" not in HEADS
    assert MODELS.get("FCNHead") is theirs


def test_the_names_of_the_contract():
    for name in (
        *("MaskClipHead", "ClipDinoiserHead", "DeClipHead", "TridentHead", "MaskAdaptedClipHead"),
        *("SamRefiner", "PamrRefiner"),
    ):
        assert MODELS.get(name) is getattr(ovseg.mm, name)
        assert name in ovseg.mm.__all__
    with pytest.raises(AttributeError, match="no attribute 'MaskClopHead'"):
        ovseg.mm.MaskClopHead  # noqa: B018
