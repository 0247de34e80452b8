"""Drawn scenes as a data set of mmseg."""

import shutil

import cv2
import numpy as np
import pytest
from mmengine import fileio

import ovseg.mm  # noqa: F401 - registers
from ovseg.errors import ConfigError, DatasetError, InputError
from ovseg.mm.data.scene_files import image_path, labels_path
from ovseg.mm.data.scenes import SceneDataset
from ovseg.scenes.world import CLASSES, PALETTE, SPLITS, VERSION, draw_scene
from ovseg.scenes.write import write_scenes

PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadLabels"},
    {"type": "PackSegInputs"},
]
SIZE = (48, 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"), 3, SPLITS["val"][0], SIZE)


def assert_is_scene(item, seed):
    scene = draw_scene(seed, SIZE)
    image = item["inputs"].permute(1, 2, 0).numpy()
    assert np.array_equal(image[:, :, ::-1], scene.image)
    labels = item["data_samples"].gt_sem_seg.data[0].numpy()
    assert np.array_equal(labels, scene.labels)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_scenes_are_drawn_on_the_fly(split):
    data = SceneDataset(split=split, count=2, size=SIZE, pipeline=PIPELINE)
    assert len(data) == 2
    for index in range(2):
        assert_is_scene(data[index], SPLITS[split][index])


def test_a_written_folder_gives_the_same_items(folder):
    data = SceneDataset(data_root=str(folder), pipeline=PIPELINE)
    assert len(data) == 3
    for index in range(3):
        assert_is_scene(data[index], SPLITS["val"][index])


def test_metainfo_names_classes_colors_and_version():
    meta = SceneDataset(count=1).metainfo
    assert tuple(meta["classes"]) == CLASSES
    assert [tuple(color) for color in meta["palette"]] == list(PALETTE)
    assert meta["scenes_version"] == VERSION
    assert meta["label_map"] is None


def test_mmseg_own_annotation_loader_reads_the_same():
    theirs = [PIPELINE[0], {"type": "LoadAnnotations"}, PIPELINE[2]]
    assert_is_scene(SceneDataset(count=1, size=SIZE, pipeline=theirs)[0], SPLITS["val"][0])


def test_a_wrong_id_on_disk_is_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = min((copy / "ann_dir").glob("*.png"))
    ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    ids[0, :3] = 40
    cv2.imwrite(str(path), ids)
    data = SceneDataset(data_root=str(copy), pipeline=PIPELINE)
    with pytest.raises(DatasetError, match=rf"{path.name}.*40 \(3 px\).*0 to 39"):
        data[0]


def test_an_image_without_labels_is_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    lost = min((copy / "ann_dir").glob("*.png"))
    lost.unlink()
    with pytest.raises(DatasetError, match=f"1 images or label maps.*{lost.name}"):
        SceneDataset(data_root=str(copy))


def test_other_classes_and_empty_folders_are_refused(folder, tmp_path):
    with pytest.raises(DatasetError, match="no images"):
        SceneDataset(data_root=str(tmp_path))
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DatasetError, match="classes.txt.*not those of this version"):
        SceneDataset(data_root=str(copy))


def test_impossible_requests_are_refused():
    with pytest.raises(ConfigError, match=r"split 'dev'.*train, val, test"):
        SceneDataset(split="dev")
    with pytest.raises(ConfigError, match="at most 100000"):
        SceneDataset(count=100_001)
    with pytest.raises(InputError, match="0 scenes"):
        SceneDataset(count=0)
    with pytest.raises(InputError, match="size"):
        SceneDataset(size=(4, 4))


def test_scene_paths_are_files_for_mmengine():
    seed = SPLITS["test"][5]
    scene = draw_scene(seed, SIZE)
    labels = cv2.imdecode(
        np.frombuffer(fileio.get(labels_path(seed, SIZE)), np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert np.array_equal(labels, scene.labels)
    assert fileio.get(image_path(seed, SIZE)).startswith(b"\x89PNG")
    with pytest.raises(DatasetError, match="not the path of a drawn scene"):
        fileio.get("scene://elsewhere/1.png")
    with pytest.raises(DatasetError, match="cannot be read as text"):
        fileio.get_text(image_path(seed, SIZE))
