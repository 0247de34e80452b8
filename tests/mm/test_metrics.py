"""The metric in mmseg's registry."""

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS
from PIL import Image

from ovseg.errors import DatasetError
from ovseg.mm.metrics import picture_name


def samples(count, classes, ignore=255, size=(20, 30)):
    rng = np.random.default_rng(0)
    for number in range(count):
        label = rng.integers(0, classes, size)
        found = np.where(rng.random(size) < 0.5, label, rng.integers(0, classes, size))
        label[:3] = ignore
        yield {
            "img_path": f"data/{number}.png",
            "pred_sem_seg": {"data": torch.from_numpy(found)[None]},
            "gt_sem_seg": {"data": torch.from_numpy(label)[None]},
        }


def build(classes, kind="OpenVocabIoUMetric", **options):
    metric = METRICS.build({"type": kind, **options})
    metric.dataset_meta = {"classes": tuple(str(i) for i in range(classes))}
    return metric


@pytest.mark.parametrize(("classes", "ignore"), [(19, 255), (300, 65535)])
def test_equal_to_mmseg(classes, ignore):
    figures = []
    for kind in ("OpenVocabIoUMetric", "IoUMetric"):
        metric = build(classes, kind, ignore_index=ignore)
        for sample in samples(3, classes, ignore):
            metric.process(None, [sample])
        figures.append(metric.evaluate(3))
    ours, theirs = figures
    for name in ("mIoU", "aAcc", "mAcc"):
        assert ours[name] == pytest.approx(theirs[name], abs=0.006)


def test_sums_are_integers_and_the_metric_starts_anew():
    metric = build(5, confusion=True, boundary=True, prefix="val")
    for _ in range(2):
        metric.process(None, list(samples(2, 5)))
        figures = metric.evaluate(2)
        assert metric.sums["areas"].dtype == np.int64
        assert metric.sums["areas"][2].sum() == 2 * 17 * 30
        assert np.array_equal(metric.sums["confusion"].diagonal(), metric.sums["areas"][0])
        assert {"val/mIoU", "val/boundary_mIoU"} <= figures.keys()
    assert not metric.results


def test_row_84_a_picture_that_was_not_counted_leaves_no_number():
    metric = build(5)
    metric.process(None, list(samples(2, 5)))
    with pytest.raises(DatasetError, match="2 of 3 pictures were counted, so there is no score"):
        metric.evaluate(3)


def test_predictions_are_written_whole_even_above_255_classes(tmp_path):
    metric = build(300, output_dir=str(tmp_path), format_only=True)
    batch = list(samples(2, 300))
    for sample in batch:
        del sample["gt_sem_seg"]
    metric.process(None, batch)
    assert metric.evaluate(2) == {}
    for number, sample in enumerate(batch):
        written = np.array(Image.open(tmp_path / f"{number}.label.png"))
        assert np.array_equal(written, sample["pred_sem_seg"]["data"][0].numpy())


def test_missing_and_wrong_label_maps_are_named():
    (sample,) = samples(1, 5)
    with pytest.raises(DatasetError, match=r"data/0\.png.*id 4"):
        build(4).process(None, [sample])
    del sample["gt_sem_seg"]
    with pytest.raises(DatasetError, match=r"data/0\.png: no gt_sem_seg"):
        build(5).process(None, [sample])


def test_names_keep_apart_what_lies_in_different_folders(tmp_path):
    root = str(tmp_path)
    names = {picture_name(f"{root}/{folder}/a.png", root) for folder in ("x", "y")}
    assert names == {"x/a", "y/a"}
