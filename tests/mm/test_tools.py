"""mmseg's own tools work on our configurations as they are."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import mmseg
import numpy as np
import pytest
import torch
from mmseg.apis import MMSegInferencer, inference_model, init_model, show_result_pyplot

from ovseg.scenes.world import CLASSES, SPLITS, draw_scene
from ovseg.weights.sources import asset_path

pytestmark = pytest.mark.slow

TEST_TOOL = str(Path(mmseg.__file__).parent / ".mim" / "tools" / "test.py")
CLIP_FILE = str(asset_path("clip_tiny.safetensors"))
SIZE = (48, 64)
SEED = SPLITS["test"][0]


@pytest.fixture(scope="module")
def image_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "scene.png"
    cv2.imwrite(str(path), draw_scene(SEED, SIZE).image[:, :, ::-1])
    return str(path)


@pytest.fixture(scope="module")
def model(config_path):
    return init_model(config_path, device="cpu")


@pytest.fixture(scope="module")
def expected(model):
    return model.pipeline(draw_scene(SEED, SIZE).image, "scenes").labels


def run_test_tool(monkeypatch, config, checkpoint, work_dir, *more):
    arguments = [
        *("test.py", config, checkpoint, "--work-dir", str(work_dir), *more, "--cfg-options"),
        "test_dataloader.dataset.count=2",
        f"test_dataloader.dataset.size={SIZE}".replace(" ", ""),
        "test_dataloader.num_workers=0",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(TEST_TOOL, run_name="__main__")
    (result,) = [path for path in work_dir.glob("*/*.json")]
    return json.loads(result.read_text())


def test_the_test_tool_takes_none_for_a_checkpoint(monkeypatch, config_path, tmp_path, model):
    shown = ("--show-dir", str(tmp_path / "show"))
    found = run_test_tool(monkeypatch, config_path, "none", tmp_path / "work", *shown)
    right = total = 0
    for seed in SPLITS["test"][:2]:
        scene = draw_scene(seed, SIZE)
        counted = scene.labels != 255
        labels = model.pipeline(scene.image, "scenes").labels
        right += int((labels == scene.labels)[counted].sum())
        total += int(counted.sum())
    assert found["aAcc"] == pytest.approx(100 * right / total, abs=0.01)
    assert {"mIoU", "mAcc"} <= found.keys()
    drawn = {path.name for path in (tmp_path / "show").rglob("*.png")}
    assert any(str(SEED) in name for name in drawn)


@pytest.mark.parametrize("kind", ["clip", "runner"])
def test_the_test_tool_takes_weights(monkeypatch, config_path, tmp_path, model, kind):
    checkpoint = CLIP_FILE
    if kind == "runner":
        checkpoint = str(tmp_path / "runner.pth")
        torch.save({"state_dict": model.state_dict(), "meta": {}}, checkpoint)
    assert "mIoU" in run_test_tool(monkeypatch, config_path, checkpoint, tmp_path / "work")


@pytest.mark.parametrize("checkpoint", [None, "none", CLIP_FILE])
def test_init_model_needs_no_checkpoint(config_path, image_file, expected, checkpoint, recwarn):
    model = init_model(config_path, checkpoint, device="cpu")
    assert model.dataset_meta["classes"] == CLASSES
    result = inference_model(model, image_file)
    assert np.array_equal(result.pred_sem_seg.data[0].numpy(), expected)
    assert not [w for w in recwarn if "dataset_meta" in str(w.message)]


def test_paths_and_arrays_may_follow_each_other(model, image_file, expected):
    array = cv2.imread(image_file)
    for source in (array, image_file, array, f"scene://48x64/{SEED}.png"):
        found = inference_model(model, source).pred_sem_seg.data[0].numpy()
        assert np.array_equal(found, expected)
    assert len(inference_model(model, [image_file, image_file])) == 2


def test_results_can_be_drawn(model, image_file, tmp_path):
    out = tmp_path / "drawn.png"
    result = inference_model(model, image_file)
    show_result_pyplot(model, image_file, result, show=False, out_file=str(out))
    assert cv2.imread(str(out)).shape == (*SIZE, 3)


@pytest.mark.parametrize("weights", [None, "none"])
def test_the_inferencer_shows_our_classes(
    config_path, image_file, expected, weights, monkeypatch, tmp_path
):
    inferencer = MMSegInferencer(model=config_path, weights=weights, device="cpu")
    inferencer.show_progress = False
    result = inferencer(image_file, return_vis=True, out_dir=str(tmp_path))
    assert np.array_equal(np.asarray(result["predictions"]), expected)
    assert result["visualization"].shape == (*SIZE, 3)
    assert tuple(inferencer.visualizer.dataset_meta["classes"]) == CLASSES
    saved = cv2.imread(str(next((tmp_path / "pred").glob("*.png"))), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(saved, expected)
