"""Nouns of captions, and the regions that they are given."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from ovseg.errors import ConfigError
from ovseg.models.clip import build_clip
from ovseg.prompts.text_bank import TextBank
from ovseg.scenes.world import draw_scene
from ovseg.training.mining import TEMPLATE, best_pairs, fitting_masks, mine_image
from ovseg.training.nouns import caption_nouns, noun_runs


def test_runs_of_nouns_are_one_name_and_stop_words_none():
    tagged = [("A", "DT"), ("Photo", "NN"), ("of", "IN"), ("a", "DT"), ("street", "NN")]
    tagged += [("sign", "NN"), ("left", "VBN"), ("dogs", "NNS"), (".", "."), ("Dog", "NN")]
    assert noun_runs(tagged, lambda word: word.rstrip("s")) == ["street sign", "dog"]


def test_nouns_of_captions_need_no_downloads():
    found = caption_nouns(
        [
            "Two black dogs are sitting on the wooden benches near a fire hydrant.",
            "A photo of a dog at the side of the road",
        ]
    )
    assert found == ["dog", "bench", "fire hydrant", "road"]


def test_without_textblob_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "textblob.taggers", None)
    with pytest.raises(ConfigError, match=r"ovseg\[mining\]"):
        caption_nouns(["a dog"])


def test_options_of_the_pairs():
    scores = torch.tensor([[0.3, 0.4, 0.0], [0.1, 0.2, 0.25]])
    assert best_pairs(scores) == [(0, 1), (0, 0), (1, 2)]
    assert best_pairs(scores, min_score=0.28) == [(0, 1), (0, 0)]
    assert best_pairs(scores, mutual=True) == [(0, 1), (1, 2)]
    assert best_pairs(scores, most=1) == [(0, 1)]
    assert best_pairs(scores[:0]) == []


def test_classes_get_the_masks_that_fit_them_best():
    labels = np.full((4, 8), 255)
    labels[:2, :4], labels[2:, :4] = 5, 9
    masks = np.zeros((4, 4, 8), bool)
    masks[0, :2, :4] = masks[1, :2, :3] = masks[3] = True
    masks[2, 2:, :2] = True
    assert fitting_masks(masks, labels) == [(0, 5), (2, 9)]
    assert fitting_masks(masks, labels, least=0.6) == [(0, 5)]
    assert fitting_masks(masks, np.full((4, 8), 255)) == []
    assert fitting_masks(masks[:0], labels) == []


def test_a_scene_gives_its_nouns_regions():
    clip = build_clip("asset:clip_tiny", "asset:clip_tiny")
    bank = TextBank(clip, [TEMPLATE], cache_dir=None)
    scene = draw_scene(3)
    masks = np.stack([scene.instances == number for number in range(len(scene.regions))])
    nouns = sorted({region.name for region in scene.regions})
    found = mine_image(clip, bank, scene.image, masks, nouns)
    assert {region.title for region in found} <= set(nouns)
    assert found
    assert found[0].pixels.shape == (112, 112, 3)
    assert mine_image(clip, bank, scene.image, masks, []) == []
    assert mine_image(clip, bank, scene.image, masks & False, nouns) == []
