import math

import pytest
import torch
import torch.nn.functional as F

from ovseg.training.contrast import caption_masks, image_caption_loss, region_caption_loss


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_image_loss_of_equal_rows_is_the_logarithm_of_their_number():
    rows = torch.ones(4, 3) / 3**0.5
    loss = image_caption_loss(rows, rows, torch.tensor(10.0))
    assert float(loss) == pytest.approx(math.log(4), abs=1e-5)


def test_image_loss_does_not_prefer_a_side():
    a, b = unit(5, 8), unit(5, 8, seed=1)
    scale = torch.tensor(7.0)
    assert torch.allclose(image_caption_loss(a, b, scale), image_caption_loss(b, a, scale))


def test_a_caption_without_color_holds_for_every_region_of_its_class():
    regions = [(3, "red"), (3, "blue"), (4, None)]
    captions = [(3, None), (3, "blue"), (4, None), (5, None)]
    assert caption_masks(regions, captions).tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [False, False, True, False],
    ]


def test_other_true_captions_are_no_negatives():
    regions, captions = unit(2, 8), unit(3, 8, seed=1)
    target = torch.tensor([0, 2])
    true = torch.tensor([[True, True, False], [False, False, True]])
    before = region_caption_loss(regions, captions, target, true, torch.tensor(5.0))
    logits = 5 * regions @ captions.T
    to_caption = (
        F.cross_entropy(logits[:1, [0, 2]], torch.tensor([0]))
        + F.cross_entropy(logits[1:], torch.tensor([2]))
    ) / 2
    to_region = F.cross_entropy(logits.T, torch.tensor([0, 0, 1]))
    assert float(before) == pytest.approx(float((to_caption + to_region) / 2), abs=1e-6)


def test_a_caption_is_shared_evenly_by_its_regions():
    regions, captions = unit(3, 8), unit(2, 8, seed=1)
    target, true = torch.tensor([0, 0, 1]), torch.tensor([[1, 0], [1, 0], [0, 1]]).bool()
    loss = region_caption_loss(regions, captions, target, true, torch.tensor(4.0))
    logits = 4 * regions @ captions.T
    columns = logits.log_softmax(0)
    to_region = -(columns[:2, 0].mean() + columns[2, 1]) / 2
    to_caption = F.cross_entropy(logits, target)
    assert float(loss) == pytest.approx(float((to_caption + to_region) / 2), abs=1e-6)


def test_a_caption_of_a_color_alone_holds_for_every_region_of_it():
    regions = [(3, "red"), (4, "red"), (4, "blue"), (5, None)]
    assert caption_masks(regions, [(None, "red")]).flatten().tolist() == [True, True, False, False]


def test_unknown_pairs_are_neither_true_nor_negatives():
    regions, captions = unit(2, 8), unit(2, 8, seed=1)
    target, true = torch.tensor([0, 1]), torch.eye(2, dtype=torch.bool)
    unknown = torch.tensor([[False, True], [False, False]])
    loss = region_caption_loss(regions, captions, target, true, torch.tensor(4.0), unknown=unknown)
    logits = 4 * regions @ captions.T
    to_caption = F.cross_entropy(logits[1:], torch.tensor([1])) / 2
    to_region = F.cross_entropy(logits.T[:1], torch.tensor([0])) / 2
    assert float(loss) == pytest.approx(float((to_caption + to_region) / 2), abs=1e-6)
