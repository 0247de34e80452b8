"""From each release's own files to the label maps that mmseg's data sets give."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ovseg.datasets import BENCHMARKS
from ovseg.datasets.ade847 import source_ids
from ovseg.datasets.coco import GAPS, RAW_TO_TRAIN
from ovseg.datasets.prepare import prepare
from ovseg.errors import DatasetError
from tests.benchmark_files import COCO_NUMBERS, write_benchmark

CONFIGS = Path(__file__).parents[2] / "configs" / "_base_" / "datasets"


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_release_to_data_set(name, tmp_path, monkeypatch):
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    import ovseg.mm  # noqa: F401 - registers

    init_default_scope("mmseg")
    truth = write_benchmark(name, tmp_path)
    result = prepare(BENCHMARKS[name], tmp_path)
    assert result.pairs.complete == tuple(sorted(truth))
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path))
    dataset = DATASETS.build(Config.fromfile(CONFIGS / f"{name}.py").test_dataloader.dataset)
    assert len(dataset) == len(truth)
    for item, (key, ids) in zip(dataset, sorted(truth.items()), strict=True):
        sample = item["data_samples"]
        assert key in sample.img_path
        assert np.array_equal(sample.gt_sem_seg.data[0].numpy(), ids)
        assert tuple(item["inputs"].shape[1:]) == ids.shape


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_second_run_writes_nothing(name, tmp_path):
    write_benchmark(name, tmp_path, count=2)
    first = prepare(BENCHMARKS[name], tmp_path, train=True)
    before = snapshot(tmp_path)
    second = prepare(BENCHMARKS[name], tmp_path, train=True)
    assert snapshot(tmp_path) == before
    assert second.made == 0
    assert second.pairs == first.pairs
    assert not list(tmp_path.rglob(".ovseg-*"))


def test_the_manifest_says_what_is_there(tmp_path):
    write_benchmark("voc21", tmp_path)
    result = prepare(BENCHMARKS["voc21"], tmp_path)
    content = json.loads(result.manifest.read_text())
    assert (content["benchmark"], content["images"]) == ("voc21", 3)
    assert (content["official"], content["partial"]) == ([1449], True)
    assert "called partial" in " ".join(result.lines())


def test_a_newer_source_is_converted_again(tmp_path):
    write_benchmark("cityscapes", tmp_path, count=2)
    prepare(BENCHMARKS["cityscapes"], tmp_path)
    source = min(tmp_path.rglob("*_labelIds.png"))
    Image.fromarray(np.full((48, 64), 26, dtype=np.uint8)).save(source)
    assert prepare(BENCHMARKS["cityscapes"], tmp_path).made == 1
    made = Image.open(str(source).replace("labelIds", "labelTrainIds"))
    assert np.unique(made).tolist() == [13]


def test_missing_label_maps_are_refused_unless_allowed(tmp_path):
    write_benchmark("voc20", tmp_path)
    min((tmp_path / "VOCdevkit/VOC2012/SegmentationClass").glob("*.png")).unlink()
    with pytest.raises(DatasetError, match="1 without a label map: 2007_000000"):
        prepare(BENCHMARKS["voc20"], tmp_path)
    result = prepare(BENCHMARKS["voc20"], tmp_path, allow_missing=True)
    assert len(result.pairs.complete) == 2
    assert json.loads(result.manifest.read_text())["without_label_map"] == ["2007_000000"]


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(DatasetError, match=r"VOC2012: .*ovseg prepare voc20.*OVSEG_DATA"):
        prepare(BENCHMARKS["voc20"], tmp_path)


@pytest.mark.parametrize(
    ("name", "pattern", "message"),
    [
        (
            "coco_stuff164k",
            "annotations/val2017/*.png",
            r"ids 11 are not in COCO-Stuff's pixel maps",
        ),
        ("cityscapes", "gtFine/val/*/*_labelIds.png", r"ids 40 are not in Cityscapes' label ids"),
    ],
)
def test_a_wrong_source_is_named_and_leaves_nothing_behind(
    name, pattern, message, tmp_path, capsys
):
    write_benchmark(name, tmp_path)
    source = min((tmp_path / BENCHMARKS[name].root).glob(pattern))
    wrong = 11 if name == "coco_stuff164k" else 40
    Image.fromarray(np.full((48, 64), wrong, dtype=np.uint8)).save(source)
    with pytest.raises(DatasetError, match="1 of 3 files"):
        prepare(BENCHMARKS[name], tmp_path)
    assert message in capsys.readouterr().err
    suffix = BENCHMARKS[name].label_suffix
    assert len(list(tmp_path.rglob(f"*{suffix}"))) == 2


def test_a_mat_file_without_the_variable_is_named(tmp_path, capsys):
    write_benchmark("context459", tmp_path)
    path = min(tmp_path.rglob("*.mat"))
    savemat(path, {"Labels": np.zeros((2, 2))})
    with pytest.raises(DatasetError, match="1 of 3 files"):
        prepare(BENCHMARKS["context459"], tmp_path)
    assert "no variable LabelMap (there is Labels)" in capsys.readouterr().err
    path.write_bytes(b"no mat file")
    with pytest.raises(DatasetError, match="1 of 1 files"):
        prepare(BENCHMARKS["context459"], tmp_path)
    assert "cannot be read as .mat" in capsys.readouterr().err


def test_large_ade847_images_are_shrunk_with_their_label_maps(tmp_path):
    write_benchmark("ade847", tmp_path, count=1, size=(48, 64))
    image = min(tmp_path.rglob("*.jpg"))
    Image.new("RGB", (1280, 640), (9, 90, 200)).save(image)
    coded = np.zeros((640, 1280, 3), dtype=np.uint8)
    coded[:, :640] = divmod(source_ids()[5], 256)[0] * 10, source_ids()[5] % 256, 1
    coded[:, 640:] = divmod(source_ids()[846], 256)[0] * 10 + 3, source_ids()[846] % 256, 2
    Image.fromarray(coded).save(image.with_name(f"{image.stem}_seg.png"))
    prepare(BENCHMARKS["ade847"], tmp_path)
    root = tmp_path / "ade/ADE20K_2021_17_01"
    assert Image.open(min((root / "images_detectron2").rglob("*.jpg"))).size == (1024, 512)
    with Image.open(min((root / "annotations_detectron2").rglob("*.tif"))) as file:
        assert file.mode.startswith("I;16")
        ids = np.array(file)
    assert ids.shape == (512, 1024)
    assert np.unique(ids[:, :512]).tolist() == [5]
    assert np.unique(ids[:, 512:]).tolist() == [846]


def test_the_extended_voc_labels_and_lists(tmp_path):
    write_benchmark("voc21", tmp_path, count=2)
    release = tmp_path / "VOCdevkit/VOCaug/dataset"
    (release / "cls").mkdir(parents=True)
    labels = np.array([[0, 20], [3, 15]], dtype=np.uint8)
    record = np.zeros((1, 1), dtype=[("Segmentation", object)])
    record[0, 0]["Segmentation"] = labels
    savemat(release / "cls" / "2008_000008.mat", {"GTcls": record})
    (release / "train.txt").write_text("2008_000008\n2007_000000\n")
    (release / "val.txt").write_text("2007_900000\n")
    prepare(BENCHMARKS["voc21"], tmp_path, train=True)
    root = tmp_path / "VOCdevkit/VOC2012"
    lists = root / "ImageSets/Segmentation"
    assert (lists / "trainaug.txt").read_text().split() == ["2007_900000", "2008_000008"]
    assert (lists / "aug.txt").read_text().split() == ["2008_000008"]
    assert np.array(Image.open(root / "SegmentationClassAug/2008_000008.png")).tolist() == (
        labels.tolist()
    )


def test_coco_numbering():
    assert [raw + 1 for raw in sorted(RAW_TO_TRAIN)] == COCO_NUMBERS
    assert (RAW_TO_TRAIN[0], RAW_TO_TRAIN[12], RAW_TO_TRAIN[181]) == (0, 11, 170)
    assert not set(GAPS) & set(RAW_TO_TRAIN)


def test_ade847_numbering():
    assert len(source_ids()) == len(set(source_ids())) == 847
    assert source_ids()[:3] == (2978, 312, 2420)
