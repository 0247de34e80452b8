import numpy as np
import pytest

from ovseg.prompts.vocabulary import Vocabulary
from ovseg.scenes import CLASSES, SPLITS, draw_scene
from ovseg.scenes.captions import glossary
from ovseg.scenes.score import (
    EVALUATION_SEEDS,
    chance,
    class_map,
    held_out_pairs,
    score,
    synonym_list,
)

SEEDS = EVALUATION_SEEDS[:3]


def test_the_evaluation_split_is_no_training_or_validation_split():
    assert set(EVALUATION_SEEDS) <= set(SPLITS["test"])
    assert not set(EVALUATION_SEEDS) & (set(SPLITS["train"]) | set(SPLITS["val"]))


def test_the_class_map_in_the_own_vocabulary_is_the_label_map():
    scene = draw_scene(SEEDS[0])
    expected = np.where(scene.labels == 255, -1, scene.labels.astype(int))
    assert np.array_equal(class_map(scene, CLASSES), expected)


def test_colors_are_part_of_the_class_where_a_thing_has_one():
    names = Vocabulary.builtin("scenes_colours").classes
    for seed in SEEDS:
        scene = draw_scene(seed)
        found = class_map(scene, names, colors=True)
        assert found.min() >= 0
        for index, region in enumerate(scene.regions):
            wanted = f"{region.color} {region.name}" if region.color else region.name
            (value,) = np.unique(found[scene.instances == index])
            assert names[value] == wanted


def test_a_perfect_prediction_scores_one_hundred():
    by_image = {draw_scene(s).image.tobytes(): draw_scene(s).labels for s in SEEDS}
    counts = score(lambda image: by_image[image.tobytes()], CLASSES, SEEDS)
    assert counts.images == len(SEEDS)
    assert counts.mean_iou() == pytest.approx(100)


def test_chance_is_low():
    assert 0 < chance(CLASSES, SEEDS).mean_iou() < 3


def test_held_out_pairs_are_classes_of_the_color_vocabulary():
    assert "blue car" in held_out_pairs()
    assert held_out_pairs() <= set(Vocabulary.builtin("scenes_colours").classes)


def test_synonyms_replace_the_query_and_keep_the_label():
    vocabulary = Vocabulary.from_names(synonym_list(glossary(), CLASSES))
    assert vocabulary.classes == CLASSES
    changed = {
        label
        for label, prompt in zip(vocabulary.classes, vocabulary.prompts, strict=True)
        if label != prompt
    }
    assert changed == {name for _, name in glossary()}
