"""The benchmarks as data sets of mmseg: label rules, classes, and what they refuse."""

import mmseg.datasets
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from ovseg.datasets import BENCHMARKS
from ovseg.errors import ConfigError, DatasetError
from ovseg.mm.data import benchmarks
from ovseg.mm.data.benchmarks import COCOStuff164kDataset, PascalVOC20Dataset
from ovseg.prompts.vocabulary import Vocabulary

OURS = [row for row in BENCHMARKS.values() if hasattr(benchmarks, row.dataset)]
PIPELINE = [{"type": "LoadImageFromFile"}, {"type": "LoadLabels"}, {"type": "PackSegInputs"}]


def write_item(root, row, name, ids):
    """Write one image and its label map where the benchmark has them."""
    image = root / row.root / row.images / f"{name}{row.image_suffix}"
    labels = root / row.root / row.labels / f"{name}{row.label_suffix}"
    for path in (image, labels):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", ids.shape[::-1]).save(image)
    Image.fromarray(ids.astype(np.uint16 if row.ignore == 65535 else np.uint8)).save(labels)
    if row.split:
        split = root / row.root / row.split
        split.parent.mkdir(parents=True, exist_ok=True)
        split.write_text((split.read_text() if split.exists() else "") + f"{name}\n")
    return labels


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("OVSEG_DATA", str(tmp_path))
    return tmp_path


def build(row, **changes):
    config = Config.fromfile(f"configs/_base_/datasets/{row.name}.py")
    return DATASETS.build({**config.test_dataloader.dataset, **changes})


@pytest.fixture(autouse=True)
def _here(monkeypatch, config_path):
    monkeypatch.chdir(f"{config_path.split('/configs/')[0]}")


@pytest.mark.parametrize("row", BENCHMARKS.values(), ids=BENCHMARKS)
def test_ids_of_the_files_become_class_indices(row, data):
    top, ignore = row.highest_id, row.ignore or 0
    write_item(
        data, row, "ulm/a" if row.name == "cityscapes" else "a", np.array([[0, 1, top, ignore]])
    )
    dataset = build(row)
    assert type(dataset).__name__ == row.dataset
    labels = dataset[0]["data_samples"].gt_sem_seg.data[0].numpy()
    first = [row.ignore, 0] if row.reduce_zero else [0, 1]
    assert labels.tolist() == [[*first, row.num_classes - 1, ignore]]


@pytest.mark.parametrize("row", BENCHMARKS.values(), ids=BENCHMARKS)
def test_an_id_too_high_is_refused(row, data):
    write_item(data, row, "a", np.array([[0, row.highest_id + 1]]))
    with pytest.raises(DatasetError, match=r"ids out of range.*\(1 px\)"):
        build(row)[0]


@pytest.mark.parametrize("row", OURS, ids=lambda row: row.name)
def test_classes_and_colors(row):
    kind = getattr(benchmarks, row.dataset)
    assert kind.METAINFO["classes"] == Vocabulary.builtin(row.name).classes
    assert np.shape(kind.METAINFO["palette"]) == (row.num_classes, 3)
    assert issubclass(kind, mmseg.datasets.BaseSegDataset)


@pytest.mark.parametrize("row", OURS, ids=lambda row: row.name)
def test_a_missing_root_is_told_with_variable_flag_and_command(row, data):
    with pytest.raises(DatasetError) as caught:
        build(row)
    for word in (str(data / row.root), f"ovseg prepare {row.name}", "OVSEG_DATA", "data_root="):
        assert word in str(caught.value)


def test_missing_label_maps_are_refused_or_counted(data):
    row = BENCHMARKS["voc20"]
    write_item(data, row, "a", np.zeros((2, 2)))
    write_item(data, row, "b", np.zeros((2, 2))).unlink()
    with pytest.raises(DatasetError, match="1 without a label map: b"):
        build(row)
    dataset = build(row, allow_missing=True)
    assert len(dataset) == 1
    assert dataset.metainfo["missing"] == 1


def test_a_permuted_order_of_classes_is_caught(data):
    row = BENCHMARKS["coco_stuff164k"]
    write_item(data, row, "a", np.zeros((2, 2)))
    classes = COCOStuff164kDataset.METAINFO["classes"]
    with pytest.raises(ConfigError, match="171 of 171 classes stand in another order"):
        build(row, metainfo={"classes": classes[80:] + classes[:80]})


def test_fewer_classes_are_mapped_but_not_where_255_is_a_class(data):
    row = BENCHMARKS["voc20"]
    write_item(data, row, "a", np.array([[1, 3, 8]]))
    dataset = build(row, metainfo={"classes": ("bird", "aeroplane")})
    labels = dataset[0]["data_samples"].gt_sem_seg.data[0]
    assert labels.tolist() == [[1, 0, 255]]
    with pytest.raises(ConfigError, match="2 of 847 classes"):
        build(BENCHMARKS["ade847"], metainfo={"classes": ("wall", "sky")})


def test_one_needs_only_the_root(data):
    row = BENCHMARKS["voc20"]
    write_item(data, row, "a", np.array([[0, 20]]))
    dataset = PascalVOC20Dataset(data_root=str(data / row.root), pipeline=PIPELINE)
    assert dataset[0]["data_samples"].gt_sem_seg.data[0].tolist() == [[255, 19]]
