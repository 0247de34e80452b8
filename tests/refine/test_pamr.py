import numpy as np
import pytest
import torch

from ovseg.errors import ConfigError
from ovseg.inference.decode import Decoded, ImageMaps, decode
from ovseg.inference.scores import DenseScores
from ovseg.inference.tiles import DecodeOptions
from ovseg.inference.windows import whole
from ovseg.refine import Pamr
from ovseg.refine.pamr import pamr


def straightforward(image, maps, steps, dilations):
    """The same refinement pixel by pixel."""
    _, height, width = image.shape
    offsets = [(y * d, x * d) for d in dilations for y in (-1, 0, 1) for x in (-1, 0, 1)]
    around = [o for o in offsets if o != (0, 0)]
    sides = torch.tensor([height - 1, width - 1])

    def look(x, y, offset):
        at = torch.tensor([y[0] + offset[0], y[1] + offset[1]]).clamp(min=0)
        row, column = torch.minimum(at, sides).tolist()
        return x[:, row, column]

    pixels = [(i, j) for i in range(height) for j in range(width)]
    weights = {}
    for pixel in pixels:
        values = torch.stack([look(image, pixel, o) for o in offsets])
        spread = 1e-8 + 0.1 * values.std(0, unbiased=True)
        center = image[:, pixel[0], pixel[1]]
        far = torch.stack([(look(image, pixel, o) - center).abs() / spread for o in around])
        weights[pixel] = (-far.mean(1)).softmax(0)
    for _ in range(steps):
        new = torch.empty_like(maps)
        for pixel in pixels:
            near = torch.stack([look(maps, pixel, o) for o in around])
            new[:, pixel[0], pixel[1]] = (weights[pixel][:, None] * near).sum(0)
        maps = new
    return maps


@pytest.mark.parametrize(("steps", "dilations"), [(1, (1,)), (3, (2, 4))])
def test_pamr_equals_the_straightforward_way(steps, dilations):
    torch.manual_seed(0)
    image, maps = torch.rand(3, 9, 11), torch.rand(2, 9, 11)
    expected = straightforward(image, maps, steps, dilations)
    torch.testing.assert_close(pamr(image, maps, steps, dilations), expected, atol=1e-5, rtol=0)


def test_strips_and_chunks_change_nothing(monkeypatch):
    torch.manual_seed(0)
    image, maps = torch.rand(3, 70, 13), torch.rand(5, 70, 13)
    expected = pamr(image, maps, 3, (1, 4))
    monkeypatch.setattr("ovseg.refine.pamr._STRIP_PIXELS", 13)
    monkeypatch.setattr("ovseg.refine.pamr._MAPS", 2)
    torch.testing.assert_close(pamr(image, maps, 3, (1, 4)), expected, atol=1e-6, rtol=0)


def test_a_constant_image_blurs_without_nan():
    maps = torch.rand(2, 6, 6)
    found = pamr(torch.full((3, 6, 6), 0.5), maps, 2, (1,))
    assert torch.isfinite(found).all()
    assert found.std() < maps.std()


def two_halves():
    image = np.zeros((24, 24, 3), np.uint8)
    image[:, 12:] = 255
    truth = np.where(np.arange(24) < 12, 3, 7) + np.zeros((24, 1), int)
    return image, truth.astype(np.uint8)


def test_borders_move_to_the_edges_of_the_image():
    image, truth = two_halves()
    smooth = torch.linspace(0, 1, 24).add(0.1).clamp(max=1).expand(24, 24)
    maps = torch.stack([1 - smooth, smooth])
    coarse = Decoded(np.array([3, 7], np.uint8)[maps.argmax(0)], maps.amax(0).numpy())
    assert (coarse.labels != truth).any()
    asked = []

    def of(classes):
        asked.append(list(classes))
        return maps

    found = Pamr(steps=20, dilations=(1, 2)).refine(image, coarse, of)
    assert asked == [[3, 7]]
    assert np.array_equal(found.labels, truth)
    assert found.labels.dtype == np.uint8
    assert found.scores.shape == (24, 24)


def test_few_classes_at_a_time_change_nothing(monkeypatch):
    image, _ = two_halves()
    torch.manual_seed(0)
    maps = torch.rand(5, 24, 24).softmax(0)
    coarse = Decoded(maps.argmax(0).numpy().astype(np.uint8), None)
    expected = Pamr(steps=2).refine(image, coarse, lambda classes: maps[classes])
    monkeypatch.setattr("ovseg.refine.pamr._MAP_ELEMENTS", 2 * 24 * 24)
    found = Pamr(steps=2).refine(image, coarse, lambda classes: maps[classes])
    assert np.array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


def test_unsure_pixels_become_background():
    image, truth = two_halves()
    maps = torch.full((2, 24, 24), 0.4)
    coarse = Decoded(truth, None)
    found = Pamr(steps=1).refine(image, coarse, lambda _: maps, threshold=0.5, background=2)
    assert (found.labels == 2).all()


@pytest.mark.parametrize("at_once", [1, 100])
@pytest.mark.parametrize("score_type", ["logits", "probs"])
def test_scores_before_the_softmax(monkeypatch, score_type, at_once):
    torch.manual_seed(0)
    image_np, values = two_halves()[0], torch.rand(5, 6, 4)
    options = DecodeOptions((0, 0, 1, 2, 2), score_type, 9.0)
    scores, grid = DenseScores(values), whole((24, 24))
    coarse = decode(scores, grid, (24, 24), options)
    monkeypatch.setattr("ovseg.refine.pamr._MAP_ELEMENTS", at_once * 24 * 24)
    wanted = ImageMaps(scores, grid, (24, 24), options)
    found = Pamr(3, (1, 2), on="scores").refine(image_np, coarse, wanted, threshold=0.3)
    resized = torch.nn.functional.interpolate(values[None], (24, 24), mode="bilinear")[0]
    image_tensor = torch.from_numpy(image_np).permute(2, 0, 1) / 255
    sharp = pamr(image_tensor, resized, 3, (1, 2))
    sharp = (9 * sharp).softmax(0) if score_type == "logits" else sharp
    classes = torch.stack([sharp[:2].amax(0), sharp[2], sharp[3:].amax(0)])
    best, labels = classes.max(0)
    np.testing.assert_allclose(found.scores, best.numpy(), atol=1e-5)
    assert np.array_equal(found.labels, labels.masked_fill(best < 0.3, 0).numpy())
    assert found.labels.dtype == np.uint8


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"dilations": ()}, {"dilations": (0,)}, {"on": "logits"}]
)
def test_settings_out_of_range(options):
    with pytest.raises(ConfigError, match="refiner"):
        Pamr(**options)
