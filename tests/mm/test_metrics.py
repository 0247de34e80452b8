"""The metric in mmseg's registry."""

import contextlib

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS
from PIL import Image

from ovseg.errors import DatasetError
from ovseg.mm.metrics import image_name


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


def test_an_image_that_was_not_counted_leaves_no_number():
    metric = build(5)
    metric.process(None, list(samples(2, 5)))
    with pytest.raises(DatasetError, match="2 of 3 images were counted, so there is no score"):
        metric.evaluate(3)


def evaluate_shares(monkeypatch, shares, size):
    """Let every share of the images be counted by a process of its own; return their sums."""
    gathered = []
    monkeypatch.setattr(
        "ovseg.mm.metrics.all_gather_object", lambda part: gathered.append(part) or gathered
    )
    for rank, share in enumerate(shares, start=1):
        metric = build(5, confusion=True)
        for sample in share:
            metric.process(None, [sample])
        monkeypatch.setattr("ovseg.mm.metrics.get_dist_info", lambda r=rank: (r - 1, len(shares)))
        # Only the last one hears of all the others.
        with contextlib.suppress(DatasetError) if rank < len(shares) else contextlib.nullcontext():
            metric.evaluate(size)
    return metric.sums


def dealt(size, processes, repeat=True):
    """Deal images as mmengine's DefaultSampler does: padded from the start, in turns."""
    order = list(samples(size, 5))
    if repeat:
        order += order[: -size % processes]
    return [order[rank::processes] for rank in range(processes)]


@pytest.mark.parametrize("processes", [2, 3, 4])
@pytest.mark.parametrize("size", [4, 5, 7, 11])
@pytest.mark.parametrize("repeat", [True, False])
def test_every_image_counts_once_whatever_the_number_of_processes(
    monkeypatch, size, processes, repeat
):
    alone = evaluate_shares(monkeypatch, dealt(size, 1), size)
    sums = evaluate_shares(monkeypatch, dealt(size, processes, repeat), size)
    assert alone.keys() == sums.keys() == {"areas", "confusion"}
    assert all(np.array_equal(sums[name], alone[name]) for name in alone)
    assert sums["areas"][2].sum() == size * 17 * 30


def test_a_lost_process_leaves_no_score(monkeypatch):
    first, second = dealt(8, 2)
    with pytest.raises(DatasetError, match="4 of 8 images.*a process was lost"):
        evaluate_shares(monkeypatch, [first, []], 8)
    with pytest.raises(DatasetError, match="0 of 8 images"):
        evaluate_shares(monkeypatch, [[]], 8)


def test_images_that_are_counted_twice_are_refused(monkeypatch):
    (a, b) = samples(2, 5)
    with pytest.raises(DatasetError, match="0.png: the split has 3 items but only 2 different"):
        evaluate_shares(monkeypatch, [[a, b, a]], 3)
    with pytest.raises(DatasetError, match="0.png: the split has 2 items but only 1 different"):
        evaluate_shares(monkeypatch, [[a, a, b]], 2)


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
    names = {image_name(f"{root}/{folder}/a.png", root) for folder in ("x", "y")}
    assert names == {"x/a", "y/a"}
