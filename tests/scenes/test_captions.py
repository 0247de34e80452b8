"""Captions: true of what they name, training words only in training, plain grammar."""

import re

import numpy as np
import pytest

from ovseg.scenes.captions import glossary, region_caption, scene_caption, truth
from ovseg.scenes.colors import COLORS
from ovseg.scenes.stuff import STUFF
from ovseg.scenes.things import THINGS
from ovseg.scenes.world import CLASSES, SceneRegion, draw_scene

ENTRIES = {**STUFF, **THINGS}
CAR = SceneRegion(CLASSES.index("car"), "car", "red", True, "road")
ROAD = SceneRegion(CLASSES.index("road"), "road", None, False)


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(seed, (40, 40)) for seed in range(120)]


def named(text, words):
    return [word for word in words if re.search(rf"\b{re.escape(word)}\b", text)]


def test_region_captions_say_what_is_there(scenes):
    rng = np.random.default_rng(0)
    for scene in scenes:
        for region in scene.regions:
            caption = region_caption(region, rng)
            assert caption.key in truth(region)
            if caption.class_id is None:
                assert named(caption.text, [region.color]), caption.text
                continue
            assert caption.class_id == region.class_id
            words = (region.name, *ENTRIES[region.name].synonyms)
            assert named(caption.text, words), caption.text
            if caption.color is not None:
                assert f"{caption.color} " in caption.text


def test_scene_captions_claim_only_what_the_regions_show(scenes):
    rng = np.random.default_rng(1)
    for scene in scenes:
        text = scene_caption(scene.regions, rng)
        for name, entry in ENTRIES.items():
            for word in (name, *entry.synonyms):
                pattern = rf"\b(?:({'|'.join(COLORS)}) )?{re.escape(word)}\b"
                for match in re.finditer(pattern, _without_longer_words(text, word)):
                    regions = [region for region in scene.regions if region.name == name]
                    assert regions, text
                    assert match[1] is None or match[1] in {r.color for r in regions}, text


def _without_longer_words(text, word):
    """Blank out the names that contain this one, such as "snow figure" for "snow"."""
    words = [w for name, entry in ENTRIES.items() for w in (name, *entry.synonyms)]
    for other in words:
        if other != word and re.search(rf"\b{re.escape(word)}\b", other):
            text = re.sub(rf"\b{re.escape(other)}\b", "-", text)
    return text


def test_places_are_named_only_where_they_are_true():
    rng = np.random.default_rng(2)
    texts = {scene_caption([CAR, ROAD], rng) for _ in range(200)}
    assert any("car on the road" in text for text in texts)
    assert not any("on the road" in scene_caption([CAR], rng) for _ in range(50))


def test_scene_captions_are_short_and_varied(scenes):
    rng = np.random.default_rng(3)
    texts = [scene_caption(scene.regions, rng) for scene in scenes]
    assert max(len(text.split()) for text in texts) < 25
    assert len(set(texts)) > 100


def test_held_out_words_stay_out_of_training(scenes):
    held_out = [word for word, _ in glossary()]
    rng = np.random.default_rng(4)
    train, other = [], []
    for scene in scenes:
        train += [scene_caption(scene.regions, rng)]
        train += [region_caption(region, rng).text for region in scene.regions]
        other += [region_caption(region, rng, split="val").text for region in scene.regions]
    assert not named(" . ".join(train), held_out)
    assert len(named(" . ".join(other), held_out)) > len(held_out) // 2


def test_articles_follow_the_sound():
    rng = np.random.default_rng(5)
    orange = SceneRegion(CLASSES.index("umbrella"), "umbrella", "orange", True, "sand")
    texts = [region_caption(region, rng).text for region in (orange, CAR) for _ in range(150)]
    assert not [text for text in texts if re.search(r"\ba [aeiou]|\ban [^aeiou]", text)]
    assert any("an orange umbrella" in text for text in texts)
    assert any("a red car" in text for text in texts)


def test_a_word_belongs_to_one_class_only():
    words = [w for e in ENTRIES.values() for w in (e.name, *e.synonyms, *e.held_out_synonyms)]
    assert len(words) == len(set(words))


def test_truth_is_about_class_and_color():
    red, blue = truth(CAR), truth(SceneRegion(CAR.class_id, "car", "blue", True, "road"))
    assert red == {(CAR.class_id, None), (CAR.class_id, CAR.color), (None, CAR.color)}
    assert red & blue == {(CAR.class_id, None)}
    assert truth(ROAD) == {(ROAD.class_id, None)}


def test_glossary_pairs_held_out_words_with_names():
    assert ("ocean", "sea") in glossary()
    assert {name for _, name in glossary()} <= set(CLASSES)
