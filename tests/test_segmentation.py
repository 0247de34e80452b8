"""The result of a segmentation: what it tells, draws and stores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from ovseg.errors import ConfigError, InputError
from ovseg.segmentation import Segmentation

LABELS = np.array([[0, 0, 2, 2], [0, 0, 0, 2], [0, 0, 0, 255]], np.uint8)
SCORES = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
CLASSES = ("sky", "sea", "Straße")
IMAGE = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)


@pytest.fixture
def result():
    return Segmentation(LABELS, CLASSES, SCORES, IMAGE)


def many_classes(count):
    labels = np.arange(count, dtype=np.uint16).reshape(1, -1)
    return Segmentation(labels, tuple(f"class {i}" for i in range(count)))


def test_repr_tells_what_there_is(result):
    assert repr(result) == "Segmentation(4 x 3 px, 3 classes: sky 66.7%, Straße 25.0%)"
    assert repr(many_classes(9)).endswith("class 5 11.1%, ... 3 more)")
    nothing = Segmentation(np.full((2, 2), 255), CLASSES)
    assert repr(nothing) == "Segmentation(2 x 2 px, 3 classes: none found)"


def test_counts_and_shares_leave_ignored_pixels_out(result):
    assert result.counts() == {"sky": 8, "Straße": 3}
    assert result.shares() == {"sky": 8 / 12, "Straße": 3 / 12}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": LABELS.astype(np.float32)}, "labels of shape .* float32"),
        ({"labels": LABELS[None]}, "labels of shape"),
        ({"labels": LABELS[:0]}, "labels of shape"),
        ({"scores": SCORES.T}, "scores of shape"),
        ({"image": IMAGE[:2]}, "image of shape"),
    ],
)
def test_arrays_that_do_not_fit(change, message):
    with pytest.raises(InputError, match=message):
        Segmentation(**{"labels": LABELS, "classes": CLASSES} | change)


def test_palette_too_short():
    with pytest.raises(ConfigError, match="2 colors for 3 classes"):
        Segmentation(LABELS, CLASSES, palette=[(0, 0, 0), (1, 1, 1)])


def test_it_cannot_be_changed(result):
    with pytest.raises(AttributeError):
        result.labels = LABELS


def test_overlay_is_an_image_of_the_same_size(result):
    image = result.overlay()
    assert image.shape == (3, 4, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[2, 3], IMAGE[2, 3])
    np.testing.assert_array_equal(result.overlay(0.0), IMAGE)


def test_overlay_with_legend_is_larger(result):
    assert result.overlay(legend=True).shape[0] > 3 * 64
    assert result._repr_png_().startswith(b"\x89PNG")


def test_overlay_without_an_image_shows_the_colors():
    image = Segmentation(np.zeros((2, 2), np.uint8), ("sky",), palette=[(1, 2, 3)]).overlay()
    np.testing.assert_array_equal(image, np.full((2, 2, 3), (1, 2, 3)))


def test_coco_decodes_to_the_same_masks(result):
    annotations = result.to_coco(image_id=7)
    assert [(a["category_id"], a["category_name"]) for a in annotations] == [
        (0, "sky"),
        (2, "Straße"),
    ]
    for annotation in annotations:
        mask = annotation["category_id"] == LABELS
        np.testing.assert_array_equal(coco.decode(annotation["segmentation"]), mask)
        assert annotation["image_id"] == 7
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == coco.toBbox(annotation["segmentation"]).tolist()
        assert annotation["score"] == pytest.approx(SCORES[mask].mean(), abs=1e-6)
    assert json.loads(json.dumps(annotations)) == annotations


def test_coco_without_scores_has_none():
    assert "score" not in Segmentation(LABELS, CLASSES).to_coco()[0]


def test_save_writes_what_is_asked(result, tmp_path):
    paths = result.save(tmp_path, "x/beach", ("overlay", "label", "palette", "coco"))
    assert [p.relative_to(tmp_path).as_posix() for p in paths] == [
        "x/beach.overlay.png",
        "x/beach.label.png",
        "x/beach.palette.png",
        "x/beach.coco.json",
    ]
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == sorted(p.name for p in paths)
    label = Image.open(paths[1])
    assert label.mode == "L"
    np.testing.assert_array_equal(np.asarray(label), LABELS)
    palette = Image.open(paths[2])
    assert palette.mode == "P"
    np.testing.assert_array_equal(np.asarray(palette), LABELS)
    assert palette.convert("RGB").getpixel((2, 0)) == result.colors[2]
    assert json.loads(paths[3].read_text(encoding="utf-8")) == result.to_coco()
    overlay = np.asarray(Image.open(paths[0]))
    np.testing.assert_array_equal(overlay, result.overlay(legend=True))


def test_save_takes_the_contracts_defaults(result, tmp_path):
    assert [p.name for p in result.save(tmp_path / "new")] == [
        "image.label.png",
        "image.palette.png",
        "image.overlay.png",
    ]


@pytest.mark.parametrize(("count", "mode"), [(255, "L"), (256, "I;16"), (300, "I;16")])
def test_labels_are_deep_above_255_classes(tmp_path, count, mode):
    result = many_classes(count)
    path = result.save(tmp_path, formats=["label"])[0]
    image = Image.open(path)
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image), result.labels)


@pytest.mark.parametrize(("count", "ignore"), [(3, 255), (300, 65535)])
def test_labels_of_no_class_are_stored_as_the_largest_value(tmp_path, count, ignore):
    labels = np.array([[0, 2, -1, -300, 256 + 65536, 999, 65536]])
    paths = Segmentation(labels, CLASSES[:1] * count).save(tmp_path, formats=["label", "palette"])
    for path in paths:
        assert np.asarray(Image.open(path))[0].tolist() == [0, 2, *[ignore] * 5]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", ">i4"])
def test_labels_of_any_integer_type_can_be_stored(tmp_path, dtype):
    result = Segmentation(LABELS.clip(max=100).astype(dtype), CLASSES)
    path = result.save(tmp_path)[0]
    assert np.asarray(Image.open(path)).tolist() == LABELS.tolist()
    assert result.counts() == {"sky": 8, "Straße": 3}
    assert len(result.to_coco()) == 2


@pytest.mark.parametrize(("count", "written"), [(256, 1), (257, 0)])
def test_palette_is_left_out_above_256_classes(tmp_path, count, written):
    assert len(many_classes(count).save(tmp_path, formats=["palette"])) == written


@pytest.mark.parametrize("name", ["../a", "/a", "", "x/../../a"])
def test_names_that_lead_out_are_refused(result, tmp_path, name):
    with pytest.raises(InputError, match="leads out"):
        result.save(tmp_path / "out", name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["%s {0}", "-a", "new\nline", "猫", "a.jpg"])
def test_unusual_names(result, tmp_path, name):
    assert result.save(tmp_path, name, ["label"])[0].name == f"{name}.label.png"


def test_unknown_format(result, tmp_path):
    with pytest.raises(ConfigError, match="unknown format 'svg'.*label, palette, overlay, coco"):
        result.save(tmp_path, formats=["svg"])
