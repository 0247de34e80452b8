import numpy as np

from ovseg.scenes import SPLITS, draw_scene
from tools.tiny.scene_store import SceneStore, patch_shares


def test_the_store_holds_the_scenes_of_its_seeds(store):
    assert len(store) == 6
    for index in (0, 5):
        scene = draw_scene(SPLITS["train"][index], (64, 64))
        assert np.array_equal(store.images[index], scene.image)
        assert np.array_equal(store.instances[index], scene.instances)
        assert tuple(store.regions[index]) == scene.regions


def test_a_finished_store_is_not_drawn_again(store):
    again = SceneStore(store.folder.parent, SPLITS["train"][:6], 64, report=lambda *_: 1 / 0)
    assert np.array_equal(again.images[3], store.images[3])


def test_a_view_lies_where_it_says(store):
    for seed in range(40):
        view = store.view(np.random.default_rng(seed), 32, 8)
        top, left = view.corner
        assert view.image.shape == (32, 32, 3)
        assert top % 8 == left % 8 == 0
        assert 0 <= top <= 32
        assert 0 <= left <= 32
        candidates = [
            plane[top : top + 32, left : left + 32]
            for whole in store.instances
            for plane in (whole, whole[:, ::-1])
        ]
        assert any(np.array_equal(view.instances, part) for part in candidates)


def test_equal_generators_give_equal_views(store):
    a, b = (store.view(np.random.default_rng(5), 32, 8) for _ in range(2))
    assert np.array_equal(a.image, b.image)
    assert a.corner == b.corner


def test_shares_of_all_regions_add_up_to_one(store):
    instances = store.instances[0]
    total = sum(patch_shares(instances, index, 8) for index in np.unique(instances))
    assert np.allclose(total, 1)
