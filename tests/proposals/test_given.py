from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ovseg.errors import ConfigError, DatasetError, InputError
from ovseg.heads import MaskAdaptedClip
from ovseg.inference.head_input import HeadInput
from ovseg.proposals.given import PrecomputedMaskProposer

LABELS = np.array([[7, 7, 255], [0, 7, 7]], np.uint8)
MASKS = [[[0, 0, 0], [1, 0, 0]], [[1, 1, 0], [0, 1, 1]]]


def request(size=(2, 3), image=None):
    return HeadInput(None, torch.zeros(3, *size), torch.zeros(1, 4), None, image_np=image)


def test_a_label_map_gives_a_mask_a_label(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "labels.png")
    found = PrecomputedMaskProposer(tmp_path / "labels.png").propose(request())
    assert found.hard
    assert found.prob.int().tolist() == MASKS


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64])
def test_label_maps_of_any_integers(kind):
    given = PrecomputedMaskProposer()
    labels = LABELS.astype(kind)
    labels[LABELS == 255] = 65535 if kind == np.uint16 else -1
    given.set_masks(labels)
    assert given.propose(request()).prob.int().tolist() == MASKS


def test_masks_of_a_file_come_at_test_size(tmp_path):
    np.savez(tmp_path / "masks.npz", masks=np.array(MASKS, bool))
    image = np.zeros((2, 3, 3), np.uint8)
    found = PrecomputedMaskProposer(tmp_path / "masks.npz").propose(request((4, 6), image))
    assert found.prob.int().tolist() == np.array(MASKS).repeat(2, 1).repeat(2, 2).tolist()
    np.savez(tmp_path / "soft.npz", masks=np.full((1, 2, 3), 0.25))
    found = PrecomputedMaskProposer(tmp_path / "soft.npz").propose(request((4, 6), image))
    assert not found.hard
    assert found.prob.allclose(torch.full((1, 4, 6), 0.25))


@pytest.mark.parametrize("size", [(4, 6), (3, 2), (2, 4)])
def test_masks_of_another_size_than_the_image_are_refused(size):
    given = PrecomputedMaskProposer()
    given.set_masks(LABELS)
    with pytest.raises(InputError, match="masks of 2 x 3 pixels"):
        given.propose(request((2, 3), np.zeros((*size, 3), np.uint8)))


def test_no_masks_are_an_error():
    with pytest.raises(ConfigError, match="no masks are given"):
        PrecomputedMaskProposer().propose(request())


def test_nothing_labeled_is_no_mask():
    given = PrecomputedMaskProposer()
    given.set_masks(np.full((2, 3), 255))
    assert given.propose(request()).prob.shape == (0, 2, 3)


@pytest.mark.parametrize(
    "masks", [np.zeros((2, 3)), np.full((1, 2, 3), 2.0), np.full((1, 2, 3), np.nan), MASKS]
)
def test_what_is_no_mask_is_refused(masks):
    with pytest.raises(InputError):
        PrecomputedMaskProposer().set_masks(masks)


@pytest.mark.parametrize(
    ("name", "error"), [("masks.npz", InputError), ("labels.png", DatasetError)]
)
def test_files_that_hold_no_masks_are_refused(tmp_path, name, error):
    with pytest.raises(InputError, match="no such file"):
        PrecomputedMaskProposer(tmp_path / name)
    np.savez(tmp_path / "masks.npz", other=np.zeros(3))
    (tmp_path / "labels.png").write_text("no image")
    with pytest.raises(error, match=name):
        PrecomputedMaskProposer(tmp_path / name)


def test_masks_of_a_request_go_first_and_are_not_kept():
    given = PrecomputedMaskProposer()
    given.set_masks(LABELS)
    kept = given.propose(request()).prob
    one = torch.ones(1, *LABELS.shape, dtype=torch.bool)
    assert torch.equal(given.propose(replace(request(), masks=one)).prob, one)
    assert torch.equal(given.propose(request()).prob, kept)
    with pytest.raises(InputError, match="masks beyond 0 and 1"):
        given.propose(replace(request(), masks=2.0 * one))


def test_only_true_masks_need_the_labels():
    assert PrecomputedMaskProposer("ground_truth").uses_ground_truth
    assert not PrecomputedMaskProposer().uses_ground_truth
    for proposer, wanted in ({"masks": "ground_truth"}, True), ({}, False):
        head = MaskAdaptedClip({"type": "PrecomputedMaskProposer", **proposer}, prompts=False)
        assert head.uses_ground_truth is wanted
