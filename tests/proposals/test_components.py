from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.inference.head_input import HeadInput
from ovseg.inference.windows import whole
from ovseg.models.clip import build_clip
from ovseg.proposals.components import ComponentProposer, connected_parts

HEAD = {"type": "MaskClipHead", "temperature": 40.0}
WINDOWS = {"mode": "slide", "crop_size": 32, "stride": 16}


def test_parts_touch_at_corners_and_small_ones_are_put_together_by_class():
    labels = np.array([[1, 1, 0, 2], [0, 0, 1, 0], [2, 0, 0, 0]])
    found = connected_parts(labels, min_area=3, most=9)
    assert found.tolist() == [[1, 1, 0, 2], [0, 0, 1, 0], [2, 0, 0, 0]]
    found = connected_parts(labels, min_area=0, most=1)
    assert found.tolist() == [[1, 1, 0, 2], [0, 0, 1, 0], [2, 0, 0, 0]]


@pytest.fixture(scope="module")
def request_of(tiny_clip_files):
    clip = build_clip(*tiny_clip_files)
    text = functional.normalize(clip.encode_text(clip.tokenize(["cat", "dog", "sky"])).detach())
    generator = torch.Generator().manual_seed(3)
    small = torch.rand(1, 3, 5, 7, generator=generator)
    image = functional.interpolate(small, (40, 56), mode="bicubic")[0].clamp(0, 1)
    return HeadInput(clip, image, text, whole((40, 56)))


def test_every_pixel_is_in_one_part_and_parts_have_the_class_of_their_pixels(request_of):
    with torch.no_grad():
        found = ComponentProposer(HEAD, WINDOWS, min_area=0.01).propose(request_of)
    assert found.hard
    assert (found.prob.sum(0) == 1).all()
    probs = found.class_logits.softmax(1)
    assert not probs[:, -1].any()
    torch.testing.assert_close(probs.sum(1), torch.ones(len(probs)))


def test_a_whole_image_of_one_class_is_one_part(request_of):
    with torch.no_grad():
        alone = replace(request_of, text_embeddings=request_of.text_embeddings[:1])
        found = ComponentProposer(HEAD).propose(alone)
    assert found.prob.shape == (1, 40, 56)
    assert found.class_logits[0].softmax(0).tolist() == [1.0, 0.0]


def test_a_refiner_comes_before_the_parts(request_of):
    refiner = {"type": "PamrRefiner", "steps": 3, "dilations": (1, 2)}
    with torch.no_grad():
        coarse = ComponentProposer(HEAD, WINDOWS).propose(request_of)
        sharp = ComponentProposer(HEAD, WINDOWS, refiner=refiner).propose(request_of)
    assert (sharp.prob.sum(0) == 1).all()
    assert not torch.equal(coarse.prob.int().argmax(0), sharp.prob.int().argmax(0))


@pytest.mark.parametrize(
    "options",
    [
        {"min_area": 1.0},
        {"most": 0},
        {"windows": {"short_side": 4}},
        {"head": {}},
        {"refiner": {"type": "X"}},
    ],
)
def test_wrong_settings_are_refused(options):
    with pytest.raises(ConfigError):
        ComponentProposer(**{"head": HEAD, **options})
