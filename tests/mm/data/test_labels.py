"""Label maps are read id by id, and what cannot be right is refused (bad inputs 64 to 68)."""

import io

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets.labels import check_ids, decode_ids
from ovseg.errors import ConfigError, DatasetError
from ovseg.mm.data.labels import LoadLabels


def saved(tmp_path, array, mode=None, palette=None, name="labels.png"):
    image = Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)
    if palette is not None:
        image.putpalette(palette)
    image.save(tmp_path / name)
    return str(tmp_path / name)


def load(path, loader=None, **results):
    loader = loader or LoadLabels(num_classes=5)
    return loader(dict(seg_map_path=path, seg_fields=[], **results))


def test_ids_come_as_they_stand(tmp_path):
    ids = np.array([[0, 4, 255], [1, 2, 3]], dtype=np.uint8)
    results = load(saved(tmp_path, ids), ori_shape=(2, 3))
    assert results["gt_seg_map"].tolist() == ids.tolist()
    assert results["seg_fields"] == ["gt_seg_map"]


def test_an_image_without_a_label_map_passes():
    assert LoadLabels(num_classes=5)({"img_path": "a.png"}) == {"img_path": "a.png"}


def test_ids_out_of_range_name_file_id_and_count(tmp_path):
    ids = np.array([[0, 7, 7], [9, 2, 255]], dtype=np.uint8)
    path = saved(tmp_path, ids)
    with pytest.raises(DatasetError, match=r"labels.png.*7 \(2 px\), 9 \(1 px\).*0 to 4, or 255"):
        load(path)
    with pytest.raises(DatasetError, match="7"):
        load(path, LoadLabels(), num_classes=5)
    assert load(path, LoadLabels())["gt_seg_map"].max() == 255


def test_many_wrong_ids_are_summed_up():
    with pytest.raises(DatasetError, match=r"and 15 more ids"):
        check_ids(np.arange(25), 5, 255, "a.png")
    with pytest.raises(DatasetError, match=r"-1 \(1 px\)"):
        check_ids(np.array([-1, 0]), 5, 255, "a.png")


def test_colors_need_their_table(tmp_path):
    table = [[0, 0, 0], [200, 10, 10], [10, 200, 10]]
    ids = np.array([[0, 1], [2, 1]])
    path = saved(tmp_path, np.array(table, dtype=np.uint8)[ids])
    with pytest.raises(DatasetError, match=r"bands RGB.*colors=\[\[r, g, b\]"):
        load(path)
    loader = LoadLabels(num_classes=3, colors=table)
    assert load(path, loader)["gt_seg_map"].tolist() == ids.tolist()
    with pytest.raises(DatasetError, match=r"color \(10, 200, 10\) of 1 pixels"):
        load(path, LoadLabels(num_classes=3, colors=table[:2]))


def test_palette_files_are_read_as_indices(tmp_path):
    ids = np.array([[0, 1], [2, 4]], dtype=np.uint8)
    path = saved(tmp_path, ids, palette=[9, 9, 9, 80, 0, 0, 0, 80, 0, 0, 0, 80, 7, 7, 7])
    assert load(path)["gt_seg_map"].tolist() == ids.tolist()


def test_another_size_is_refused(tmp_path):
    path = saved(tmp_path, np.zeros((4, 6), dtype=np.uint8))
    with pytest.raises(DatasetError, match="4 x 6 px, its image 5 x 6") as caught:
        load(path, ori_shape=(5, 6))
    assert "EXIF" not in str(caught.value)
    with pytest.raises(DatasetError, match="EXIF"):
        load(path, ori_shape=(6, 4))


@pytest.mark.parametrize("name", ["labels.png", "labels.tif"])
def test_ids_of_16_bits_are_not_cut(tmp_path, name):
    ids = np.array([[0, 300], [846, 65535]], dtype=np.uint16)
    path = saved(tmp_path, ids, name=name)
    loader = LoadLabels(num_classes=847, ignore=65535)
    assert load(path, loader)["gt_seg_map"].tolist() == ids.tolist()
    with pytest.raises(ConfigError, match=r"255 is the id of a class.*ignore=65535"):
        load(path, LoadLabels(num_classes=847))


def test_reduce_zero_label_shifts_ids_and_ignores_zero(tmp_path):
    ids = np.array([[0, 1], [5, 255]], dtype=np.uint8)
    results = load(saved(tmp_path, ids), reduce_zero_label=True)
    assert results["gt_seg_map"].tolist() == [[255, 0], [4, 255]]


def test_a_label_map_of_new_classes_is_followed(tmp_path):
    ids = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    results = load(saved(tmp_path, ids), label_map={0: 1, 1: 0, 2: 255})
    assert results["gt_seg_map"].tolist() == [[1, 0], [255, 255]]


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n0000"])
def test_files_that_are_no_image_are_named(data):
    with pytest.raises(DatasetError, match="a.png.*cannot be read"):
        decode_ids(data, "a.png")


def test_float_maps_are_refused():
    file = io.BytesIO()
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(file, "TIFF")
    with pytest.raises(DatasetError, match="float32.*in place of class ids"):
        decode_ids(file.getvalue(), "a.tif")
