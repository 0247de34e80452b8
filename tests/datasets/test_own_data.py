"""The recipe for one's own data in docs/data.md, on drawn images."""

import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

import ovseg.mm  # noqa: F401 - registers
from ovseg.errors import DatasetError
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.scenes.world import draw_scene

HOME = Path(__file__).parents[2]
SIZE = (32, 48)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Write the recipe as it stands in the documentation, with data of its kind."""
    blocks = re.findall(r"```python\n(.*?)```", (HOME / "docs" / "data.md").read_text(), re.S)
    (text,) = [block for block in blocks if "BaseSegDataset" in block]
    (tmp_path / "own.py").write_text(text.replace('"configs/', f'"{HOME}/configs/'))
    for folder in ("images", "labels"):
        (tmp_path / "my_data" / folder).mkdir(parents=True)
    (tmp_path / "my_data" / "classes.txt").write_text("sky\ngrass; lawn\nroad\n")
    for seed in range(2):
        scene = draw_scene(seed, SIZE)
        ids = np.where(scene.labels < 3, scene.labels, 255).astype(np.uint8)
        Image.fromarray(scene.image).save(tmp_path / "my_data" / "images" / f"{seed}.jpg")
        Image.fromarray(ids).save(tmp_path / "my_data" / "labels" / f"{seed}.png")
    monkeypatch.chdir(tmp_path)
    init_default_scope("mmseg")
    return Config.fromfile("own.py")


def test_the_recipe_reads_ones_own_data(recipe):
    dataset = DATASETS.build(recipe.test_dataloader.dataset)
    assert len(dataset) == 2
    for seed in range(2):
        labels = draw_scene(seed, SIZE).labels
        found = dataset[seed]["data_samples"].gt_sem_seg.data[0].numpy()
        assert np.array_equal(found, np.where(labels < 3, labels, 255))
    assert Vocabulary.parse(recipe.model.vocabulary).classes == dataset.metainfo["classes"]
    assert recipe.model.type == "OpenVocabSegmentor"


def test_the_recipe_refuses_ids_that_no_class_has(recipe):
    Image.new("L", SIZE[::-1], 3).save("my_data/labels/0.png")
    with pytest.raises(DatasetError, match=r"3 \(1536 px\).*0 to 2, or 255"):
        DATASETS.build(recipe.test_dataloader.dataset)[0]
