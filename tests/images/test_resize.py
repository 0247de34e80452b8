import numpy as np
import pytest
import torch

from ovseg.images.resize import image_of, resize_image


@pytest.mark.parametrize("rule", ["opencv", "pillow"])
def test_sizes_are_height_and_width(rule):
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    found = resize_image(image, (4, 12), rule)
    assert found.shape == (4, 12, 3)
    assert found.dtype == np.uint8


def test_pillow_averages_where_it_shrinks():
    lines = np.zeros((8, 8, 3), np.uint8)
    lines[:, ::4] = 255
    assert np.ptp(resize_image(lines, (2, 2), "opencv")) == 0
    assert 0 < resize_image(lines, (2, 2), "pillow").mean() < 128


def test_an_image_of_a_tensor():
    tensor = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1).expand(3, 2, 2)
    assert image_of(tensor, (2, 2))[0, 0].tolist() == [0, 128, 255]
    assert image_of(tensor, (4, 6)).shape == (4, 6, 3)
