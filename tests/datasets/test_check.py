"""`--check` finds what cannot be right and says it in words (rows 63 to 69 of the bad inputs)."""

import json

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets import BENCHMARKS
from ovseg.datasets.check import check
from ovseg.datasets.id_checks import warn_unusual_ids
from ovseg.datasets.prepare import prepare
from ovseg.errors import DatasetError
from tests.benchmark_files import write_benchmark


@pytest.fixture
def made(tmp_path):
    """Write, prepare, and return (benchmark, its folder, paths of the label maps)."""

    def make(name, count=3):
        row = BENCHMARKS[name]
        write_benchmark(name, tmp_path, count)
        prepare(row, tmp_path)
        root = tmp_path / row.root
        return row, root, sorted((root / row.labels).rglob(f"*{row.label_suffix}"))

    return make


def rewrite(paths, change):
    for path in paths:
        ids = np.array(Image.open(path))
        Image.fromarray(change(ids.astype(np.int64)).astype(ids.dtype)).save(path)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_right_files_are_right(name, made):
    row, root, _ = made(name)
    findings = check(row, root)
    assert findings.is_right, findings.lines()
    assert findings.warnings == [
        f"3 images, the official split has {' or '.join(map(str, row.expected))}: "
        "results are called partial"
    ]
    assert findings.pixels.sum() == 3 * 48 * 64
    text = "\n".join(findings.lines())
    assert "nothing is known to be wrong" in text
    assert "OUT OF RANGE" not in text


def test_the_histogram_names_ids_classes_and_images(made):
    row, root, paths = made("voc20")
    rewrite(paths, lambda ids: np.where(np.arange(64) < 16, 7, 255) + 0 * ids)
    lines = check(row, root).lines()
    assert f"{7:6d}  25.000%  {3:8d}  car" in lines
    assert f"{255:6d}  75.000%  {3:8d}  (does not count)" in lines
    assert "19 of 20 classes do not occur" in lines


def test_missing_files_are_problems(made):
    row, root, paths = made("ade20k")
    paths[0].unlink()
    assert check(row, root).problems[0] == "1 without a label map: ADE_val_00000001"


def test_ids_out_of_range_name_file_id_and_count(made):
    row, root, paths = made("coco_stuff164k")
    rewrite(paths[:1], lambda ids: np.where(np.arange(64) < 1, 200, ids))
    findings = check(row, root)
    assert len(findings.faults) == 1
    assert f"{paths[0]}: label ids out of range: 200 (48 px)" in findings.faults[0]
    assert any("OUT OF RANGE" in line for line in findings.lines())


def test_an_ignore_id_where_every_pixel_counts_is_out_of_range(made):
    row, root, paths = made("coco_object")
    rewrite(paths[:1], lambda ids: np.where(np.arange(64) < 1, 255, ids))
    assert "255 (48 px)" in check(row, root).faults[0]


def test_colors_in_place_of_ids(made):
    row, root, paths = made("cityscapes")
    Image.new("RGB", (64, 48), (128, 64, 128)).save(paths[0])
    assert "bands RGB" in check(row, root).faults[0]


def test_palette_files_are_read_as_indices(made):
    row, root, paths = made("voc21")
    assert Image.open(paths[0]).mode == "P"
    assert check(row, root).pixels[20] > 0


def test_other_sizes_and_turned_images(made):
    row, root, paths = made("context60")
    image = root / row.images / f"{paths[0].stem}.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(image).save(image, exif=exif)
    rewrite(paths[1:2], lambda ids: ids[:-1])
    faults = check(row, root).faults
    assert "48 x 64 px, its image 64 x 48" in faults[0]
    assert "EXIF" in faults[0]
    assert "47 x 64 px, its image 48 x 64" in faults[1]
    assert "EXIF" not in faults[1]


def test_ids_of_16_bits_are_counted(made):
    row, root, paths = made("ade847")
    pixels = check(row, root).pixels
    assert pixels[846] >= 48
    assert pixels[65_535] >= 48
    rewrite(paths, lambda ids: np.minimum(ids, 255))
    assert "saved with 8 bits" in " ".join(check(row, root).warnings)


@pytest.mark.parametrize("name", ["voc20", "coco_stuff164k", "cityscapes", "context59"])
@pytest.mark.parametrize("step", [1, -1])
def test_ids_off_by_one_contradict_the_data_set(name, step, made):
    row, root, paths = made(name)
    last = row.highest_id
    special = (255, 0) if row.reduce_zero else (255,)
    rewrite(
        paths,
        lambda ids: np.where(np.isin(ids, special), ids, np.clip(ids + step, 0, last)),
    )
    problems = " ".join(check(row, root).problems)
    assert "label maps contradict" in problems
    assert f"one too {'high' if step > 0 else 'low'}" in problems


@pytest.mark.parametrize("name", ["voc21", "coco_object", "cityscapes", "ade20k", "context459"])
def test_a_permuted_order_contradicts_the_data_set(name, made):
    row, root, paths = made(name)
    first = int(row.reduce_zero or row.background)
    order = np.arange(65_536)
    classes = slice(first, row.highest_id + 1)
    order[classes] = np.roll(np.arange(first, row.highest_id + 1)[::-1], 3)
    rewrite(paths, lambda ids: order[ids])
    problems = check(row, root).problems
    assert len(problems) == 1
    assert "label maps contradict" in problems[0]
    assert "permuted" in problems[0]


def test_a_part_of_ade20k_is_not_compared_with_its_table(made):
    row, root, paths = made("ade20k")
    for path in paths[1:]:
        path.unlink()
        (root / row.images / f"{path.stem}.jpg").unlink()
    assert check(row, root).is_right


def test_a_damaged_account_of_the_images_is_named(made):
    row, root, _ = made("coco_object")
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps({"images": []}))
    with pytest.raises(DatasetError, match=r"instances_val2017\.json: cannot be read \(KeyError"):
        check(row, root)


def counts(**pixels):
    histogram = np.zeros(65_536, dtype=np.int64)
    for index, number in pixels.items():
        histogram[int(index[1:])] = number
    return histogram


@pytest.mark.parametrize(
    ("name", "histogram", "words"),
    [
        ("coco_stuff164k", counts(_1=9, _171=9), "train id + 1"),
        ("context459", counts(_1=9, _459=9), "one too high"),
        ("ade20k", counts(_1=9, _150=3), "no pixel has id 0"),
        ("ade20k", counts(_0=9, _149=3, _255=20), "reduced already"),
        ("voc21", counts(_0=9, _15=3, _255=20), "62% of the pixels have id 255"),
        ("voc21", counts(_0=2, _15=3), "class 15 has more pixels than the background"),
        ("coco_stuff164k", counts(_0=2, _181=3), "some are above the highest class"),
        ("cityscapes", counts(_0=2, _26=3), "look like Cityscapes' label ids"),
    ],
)
def test_a_wrong_numbering_looks_suspicious(name, histogram, words):
    assert any(words in text for text in warn_unusual_ids(BENCHMARKS[name], histogram))


def test_unused_numbers_of_coco_that_never_occur_are_telling():
    histogram = np.ones(65_536, dtype=np.int64)
    histogram[171:] = 0
    row = BENCHMARKS["coco_stuff164k"]
    assert warn_unusual_ids(row, histogram) == []
    histogram[[11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90]] = 0
    assert "unused numbers never occur" in warn_unusual_ids(row, histogram)[0]
    assert warn_unusual_ids(row, np.zeros(65_536)) == []


@pytest.mark.parametrize("name", ["coco_stuff164k", "coco_object", "context59", "context459"])
def test_a_permuted_list_of_names_is_caught_before_converting(name, tmp_path):
    row = BENCHMARKS[name]
    write_benchmark(name, tmp_path)
    path = tmp_path / row.root / "labels.txt"
    names = [line.split(": ")[1] for line in path.read_text().splitlines()]
    names[1], names[9] = names[9], names[1]
    first = 0 if names[0] == "unlabeled" else 1
    path.write_text("".join(f"{i}: {name}\n" for i, name in enumerate(names, start=first)))
    with pytest.raises(DatasetError, match=r"labels\.txt numbers 2 classes otherwise"):
        prepare(row, tmp_path)
    assert not list((tmp_path / row.root / row.labels).rglob(f"*{row.label_suffix}"))
