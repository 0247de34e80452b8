"""`ovseg test` on the synthetic world: flags, results, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovseg.cli import main
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.scenes.world import SPLITS, draw_scene
from ovseg.scenes.write import write_scenes
from ovseg.segmenter import load
from ovseg.weights.sources import asset_path

pytestmark = pytest.mark.slow

SIZE = (48, 64)
SEEDS = SPLITS["test"][:3]
ROOT = Path(__file__).parents[3]
SMALL = [
    "test_dataloader.dataset.count=3",
    "test_dataloader.dataset.size=(48,64)",
    "test_dataloader.num_workers=0",
]


def measure(config, work, *flags, options=()):
    words = ["test", config, *flags, "--work-dir", str(work)]
    return main([*words, "--cfg-options", *SMALL, *options])


def result_of(work):
    text = (Path(work) / "result.json").read_text()
    assert "NaN" not in text
    return json.loads(text)


@pytest.fixture(scope="module")
def once(config_path, tmp_path_factory):
    """One run with all that it may write."""
    work = tmp_path_factory.mktemp("once")
    flags = ("--out", str(work / "out"), "--show-dir", str(work / "show"), "--boundary")
    assert measure(config_path, work, *flags) == 0
    return work


def test_the_result_names_what_moves_the_number(once, config_path):
    result = result_of(once)
    model = load("maskclip-tiny", device="cpu")
    protocol = result["protocol"]
    assert protocol["short_side"] == 224
    assert protocol["crop_size"] == [112, 112]
    assert protocol["stride"] == [56, 56]
    assert protocol["templates"] == "photo"
    assert protocol["decode_head"]["temperature"] == 20.0
    assert protocol["threshold"] == 0.0
    assert protocol["precision"] == "float32"
    assert protocol["refiner"] is None
    assert protocol["data"]["type"] == "SceneDataset"
    assert result["vocabulary"]["name"] == "scenes"
    assert result["vocabulary_hash"] == Vocabulary.builtin("scenes").sha256[:12]
    assert result["weights_hash"] == model.pipeline.clip.weights_hash[:12]
    assert {"ovseg", "torch", "mmsegmentation", "open_clip_torch"} <= result["versions"].keys()
    assert result["images"] == 3
    assert "boundary_mIoU" in result
    table = (once / "result.txt").read_text()
    assert "sky" in table
    assert "of 40 classes counted" in table


def test_label_maps_and_images_are_those_of_the_model(once):
    model = load("maskclip-tiny", device="cpu")
    right = total = 0
    for seed in SEEDS:
        scene = draw_scene(seed, SIZE)
        labels = model.segment(scene.image, "scenes").labels
        assert np.array_equal(np.array(Image.open(once / "out" / f"{seed}.label.png")), labels)
        assert (once / "show" / f"{seed}.overlay.png").is_file()
        counted = scene.labels != 255
        right += int((labels == scene.labels)[counted].sum())
        total += int(counted.sum())
    assert result_of(once)["aAcc"] == pytest.approx(100 * right / total, abs=1e-9)


def test_two_processes_count_the_same_integers(once, config_path, tmp_path, free_port):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    command += [f"--master_port={free_port}", str(ROOT / "tools" / "test.py"), config_path]
    command += ["--launcher", "pytorch", "--work-dir", str(tmp_path), "--cfg-options", *SMALL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("result: ") == 1
    assert result_of(tmp_path)["areas"] == result_of(once)["areas"]


def test_a_limit_and_a_refiner_change_what_the_result_says(config_path, tmp_path):
    refined = ("--limit", "2", "--refine", "pamr", "--precision", "fp32")
    assert measure(config_path, tmp_path, *refined) == 0
    result = result_of(tmp_path)
    assert result["images"] == 2
    assert result["partial"]
    assert result["benchmark"] is None
    assert result["name"].startswith("partial: 2 images of drawn scenes")
    assert result["protocol"]["refiner"]["type"] == "PamrRefiner"


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--limit", "0"], 2, "--limit: 0 images"),
        (["--refine", "magic"], 2, "unknown refiner 'magic'"),
        (["--device", "cuda:99"], 2, "device 'cuda:99' does not exist here"),
        (["--precision", "fp7"], 2, "unknown precision 'fp7'"),
        (["--launcher", "pytorch"], 2, "is not set"),
    ],
)
def test_wrong_flags(config_path, tmp_path, capsys, monkeypatch, flags, status, message):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert measure(config_path, tmp_path, *flags) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("option", "status", "message"),
    [
        ("test_dataloader.dataset.type=SceneDatset", 2, "SceneDatset is not in"),
        ("test_dataloader.dataset.color=1", 2, "'color'"),
        ("model.decode_head.temprature=3", 2, "did you mean 'temperature'"),
        ("model.backbone.pretrained=absent.safetensors", 1, "absent.safetensors"),
        ("model.vocabulary=voc20", 2, "the vocabulary has 20 classes, the data set 40"),
    ],
)
def test_wrong_settings(config_path, tmp_path, capsys, option, status, message):
    assert measure(config_path, tmp_path, options=[option]) == status
    assert message in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there(config_path, tmp_path, capsys):
    assert measure(config_path, tmp_path, "absent.pth") == 1
    assert "absent.pth: no such checkpoint" in capsys.readouterr().err


def test_a_checkpoint_stands_in_for_weights_that_nobody_put_there(config_path, tmp_path, capsys):
    nowhere = ("model.backbone.pretrained=manual:absent.pt",)
    assert measure(config_path, tmp_path, "--limit", "1", options=nowhere) == 1
    assert "absent.pt have no address" in capsys.readouterr().err
    weights = ROOT / "ovseg" / "assets" / "clip_tiny.safetensors"
    assert measure(config_path, tmp_path, str(weights), "--limit", "1", options=nowhere) == 0
    assert result_of(tmp_path)["mIoU"] > 0
    assert measure(config_path, tmp_path, str(tmp_path / "no.pt"), options=nowhere) == 1
    assert "no.pt: no such checkpoint" in capsys.readouterr().err


def test_a_configuration_without_a_test_part(tmp_path, capsys):
    path = tmp_path / "empty.py"
    path.write_text("model = dict(type='KnownMaps')\n")
    assert main(["test", str(path)]) == 2
    assert "nothing to test: it has no test_dataloader" in capsys.readouterr().err


OWN = """
custom_imports = dict(imports=["ovseg.mm"])
default_scope = "mmseg"
model = dict(type="KnownMaps", folder={folder!r})
pipeline = [dict(type="LoadImageFromFile"), dict(type="LoadLabels"), dict(type="PackSegInputs")]
dataset = dict(
    type="BaseSegDataset", data_root={root!r}, img_suffix=".png", pipeline=pipeline,
    data_prefix=dict(img_path="img_dir", seg_map_path="ann_dir"),
    metainfo=dict(classes=[str(i) for i in range(40)]))
test_dataloader = dict(dataset=dataset, sampler=dict(type="DefaultSampler", shuffle=False))
test_cfg = dict(type="TestLoop")
"""


@pytest.fixture
def own(tmp_path):
    """One's own data set, on which the model is always right."""
    root = write_scenes(tmp_path / "own", 3, SEEDS[0], SIZE)
    folder = tmp_path / "known"
    folder.mkdir()
    for path in (root / "ann_dir").glob("*.png"):
        np.save(folder / f"{path.stem}.npy", np.array(Image.open(path)).astype(np.int64) % 255)
    config = tmp_path / "own.py"
    config.write_text(OWN.format(root=str(root), folder=str(folder)))
    return str(config), root


def test_own_data_need_ten_lines(own, tmp_path):
    assert main(["test", own[0], "--work-dir", str(tmp_path)]) == 0
    result = result_of(tmp_path)
    assert result["mIoU"] == 100
    assert not result["partial"]
    assert result["name"] == f"BaseSegDataset {own[1]}"


def test_a_missing_label_map_is_listed_and_with_the_flag_counted(own, tmp_path, capsys):
    lost = min((own[1] / "ann_dir").glob("*.png"))
    lost.unlink()
    assert main(["test", own[0], "--work-dir", str(tmp_path)]) == 1
    assert f"1 without a label map: {lost.stem}" in capsys.readouterr().err
    assert main(["test", own[0], "--work-dir", str(tmp_path), "--allow-missing"]) == 0
    assert "2 images (1 left out: a file is missing)" in capsys.readouterr().out
    result = result_of(tmp_path)
    assert result["missing"] == 1
    assert result["partial"]


def test_nothing_but_ignored_pixels_has_no_score(own, tmp_path, capsys):
    for path in (own[1] / "ann_dir").glob("*.png"):
        Image.fromarray(np.full(SIZE, 255, np.uint8)).save(path)
    assert main(["test", own[0], "--work-dir", str(tmp_path)]) == 1
    assert "the score is undefined" in capsys.readouterr().err
    assert not (tmp_path / "result.json").exists()


def test_an_image_listed_twice_is_refused(own, tmp_path, capsys):
    names = sorted(path.stem for path in (own[1] / "img_dir").glob("*.png"))
    (own[1] / "list.txt").write_text("\n".join([*names, names[0]]))
    words = ["test", own[0], "--work-dir", str(tmp_path), "--cfg-options"]
    assert main([*words, "test_dataloader.dataset.ann_file=list.txt"]) == 1
    assert "the split has 4 items but only 3 different images" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*holds a CLIP without mask prompts")
def test_another_clip_is_measured_without_the_prompts_of_the_model(tmp_path):
    """As the configuration without prompts, whose CLIP it is, to the last count."""
    config = str(ROOT / "configs" / "scenes" / "mask_adapted_tiny.py")
    clip = str(asset_path("clip_tiny.safetensors"))
    assert measure(config, tmp_path / "a", clip) == 0
    untuned = config.replace("_tiny.py", "_tiny_untuned.py")
    assert measure(untuned, tmp_path / "b") == 0
    given, stated = result_of(tmp_path / "a"), result_of(tmp_path / "b")
    assert given["protocol"]["decode_head"] == stated["protocol"]["decode_head"]
    assert given["protocol"]["decode_head"]["prompts"] is False
    assert given["areas"] == stated["areas"]
