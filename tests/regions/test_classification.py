import math

import pytest
import torch

from ovseg.errors import InputError
from ovseg.models.clip import build_clip
from ovseg.regions import RegionClassification, class_means, region_features, top_hits


def test_places_of_the_right_class():
    text = torch.eye(6)
    vectors = torch.tensor([[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]]).expand(3, 6)
    hits = top_hits(vectors, text, torch.tensor([0, 4, 5]))
    assert hits.nonzero().tolist() == [[0, 0], [1, 4]]
    assert class_means(hits, torch.tensor([0, 4, 5])) == {"macc1": 1 / 3, "macc5": 2 / 3}


def test_fewer_classes_than_places():
    hits = top_hits(torch.eye(2), torch.eye(2), torch.tensor([1, 1]))
    assert hits.tolist() == [[False, True, False, False, False], [True] + [False] * 4]


def test_classes_count_alike_and_rounding_to_half_is_an_option():
    labels = torch.tensor([0, 0, 0, 1])
    hits = torch.tensor([[True], [False], [False], [True]])
    exact = class_means(hits, labels)["macc1"]
    assert exact == pytest.approx(2 / 3, abs=1e-12)
    rounded = class_means(hits, labels, half=True)["macc1"]
    assert rounded == (float(torch.tensor(1 / 3).half()) + 1) / 2
    assert math.isnan(class_means(hits[:0], labels[:0])["macc1"])


def test_batches_add_up_and_absent_groups_are_left_out():
    torch.manual_seed(0)
    text, vectors, labels = torch.randn(7, 4), torch.randn(20, 4), torch.randint(0, 3, (20,))
    things = torch.ones(20, dtype=torch.bool)
    at_once, by_parts = RegionClassification(text), RegionClassification(text)
    at_once.update("rois", vectors, labels, things)
    for part in (slice(0, 3), slice(3, 3), slice(3, 20)):
        by_parts.update("rois", vectors[part], labels[part], things[part])
    assert by_parts.compute() == at_once.compute()
    assert at_once.compute().keys() == {"rois.thing.macc1", "rois.thing.macc5"}


def test_what_does_not_fit():
    with pytest.raises(InputError, match="from 0 to 1"):
        top_hits(torch.eye(2), torch.eye(2), torch.tensor([0, 2]))
    with pytest.raises(InputError, match=r"\(K, E\)"):
        top_hits(torch.eye(2), torch.eye(3), torch.tensor([0, 1]))
    with pytest.raises(InputError, match="things or stuff"):
        RegionClassification(torch.eye(2)).update("rois", torch.eye(2), torch.zeros(2), [True])


def test_regions_of_images_with_any_tower(tiny_clip_files):
    clip = build_clip(*tiny_clip_files)
    images, boxes = torch.rand(2, 3, 32, 48), [torch.tensor([[0.1, 0.1, 0.6, 0.9]])] * 2
    for mode in ("csa", "maskclip"):
        found = region_features(clip, images, boxes, crops=torch.rand(2, 3, 32, 32), mode=mode)
        assert found.keys() == {"rois", "crops"}
        for vectors in found.values():
            torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    with pytest.raises(InputError, match="multiples of 8"):
        region_features(clip, images[..., :-1], boxes)
