import pytest
import torch
from torch.nn.functional import normalize

from ovseg.errors import InputError
from ovseg.regions import mask_mean, mask_pool, roi_grid, roi_pool

INF, NAN = float("inf"), float("nan")


@pytest.fixture
def features():
    return torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(0))


def test_a_box_of_one_cell_gives_that_cell_and_images_keep_their_order(features):
    boxes = [torch.tensor([[1 / 6, 0.5, 2 / 6, 0.75]]), torch.tensor([[0.5, 0.0, 4 / 6, 0.25]])]
    expected = normalize(torch.stack([features[0, :, 2, 1], features[1, :, 0, 3]]), dim=1)
    torch.testing.assert_close(roi_pool(features, boxes), expected)


def test_the_whole_image_is_its_mean_and_a_grid_divides_the_box(features):
    whole = [torch.tensor([[0.0, 0.0, 1.0, 1.0]])] * 2
    torch.testing.assert_close(roi_grid(features, whole, 1)[..., 0, 0], features.mean((2, 3)))
    blocks = features.unfold(2, 2, 2).unfold(3, 3, 3).mean((4, 5))
    torch.testing.assert_close(roi_grid(features, whole, 2), blocks)


def test_boxes_without_area_give_zero_and_images_may_have_none(features):
    found = roi_pool(features, [torch.zeros(0, 4), torch.tensor([[0.5, 0.2, 0.5, 0.2]])])
    assert torch.equal(found, torch.zeros(1, 5))


@pytest.mark.parametrize(
    "box",
    [
        [1.0, 0.0, 1.5, 1.0],
        [0.0, -0.5, 1.0, 0.0],
        [10.0, 20.0, 60.0, 90.0],
        [0.5, 0.0, 0.4, 1.0],
        [0.0, NAN, 1.0, 1.0],
        [0.0, 0.0, INF, 1.0],
    ],
)
def test_boxes_outside_of_the_image_are_named(features, box):
    good = [0.1, 0.1, 0.5, 1.2]
    with pytest.raises(InputError, match="image 1, box 1"):
        roi_pool(features, [torch.tensor([good]), torch.tensor([good, box])])


def test_masks_are_means_and_an_empty_one_is_zero(features):
    masks = torch.zeros(2, 4, 6)
    masks[0, 1, 2:4] = 1
    found = mask_mean(features, [masks, masks[:0]])
    torch.testing.assert_close(found[0], features[0, :, 1, 2:4].mean(1))
    assert not found[1].any()
    torch.testing.assert_close(mask_pool(features, [masks, masks[:0]]), normalize(found, dim=1))


def test_shapes_that_do_not_fit(features):
    with pytest.raises(InputError, match=r"\(n, 4, 6\)"):
        mask_pool(features, [torch.ones(1, 8, 8)] * 2)
    with pytest.raises(InputError, match="one tensor of boxes an image"):
        roi_pool(features, [torch.zeros(1, 4)])
    with pytest.raises(InputError, match=r"\(n, 4\)"):
        roi_pool(features, [torch.zeros(4)] * 2)
