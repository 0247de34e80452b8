import numpy as np
import pytest
import torch
from torch import nn

from ovseg.errors import CheckpointError, ConfigError
from ovseg.inference.decode import Decoded
from ovseg.refine.sam import SamRefiner, encode_masks
from tests.small_sam import SMALL

SIZE = (48, 64)


def refiner(**options):
    torch.manual_seed(0)
    return SamRefiner(SMALL, None, **{"minimal_area": 4, "sam_iou_thresh": -9.0, **options})


def scene(size=SIZE, classes=(3, 7, 9), seed=0):
    """An image, a blocky coarse result for it, and maps of ten classes."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    coarse = torch.from_numpy(rng.random((1, len(classes), 3, 4), np.float32))
    part = nn.functional.interpolate(coarse, size, mode="bilinear")[0].mul(6).softmax(0)
    maps = torch.zeros(10, *size)
    maps[list(classes)] = part
    decoded = Decoded(maps.argmax(0).numpy().astype(np.uint8), maps.amax(0).numpy())
    return image, decoded, maps


class Decoder(nn.Module):
    """In place of SAM's: prompt number i gets the mask and the quality of row i."""

    def __init__(self, masks, quality):
        super().__init__()
        self.masks, self.quality, self.sizes = masks, quality, []

    def forward(self, sparse_prompt_embeddings, **_):
        first = sum(self.sizes)
        self.sizes.append(len(sparse_prompt_embeddings))
        rows = slice(first, first + self.sizes[-1])
        return self.masks[rows, None], self.quality[rows, None]


def two_regions(masks, quality, **options):
    """Refine a left and a right half of an 8 x 8 image, classes 0 and 1, with given masks."""
    model = refiner(side_multiple=1, minimal_area=1, **{"sam_iou_thresh": 0.5, **options})
    model.sam.model.mask_decoder = Decoder(torch.tensor(masks), torch.tensor(quality))
    maps = torch.full((2, 8, 8), 0.3)
    maps[0, :, :4] = maps[1, :, 4:] = 0.7
    decoded = Decoded(maps.argmax(0).numpy(), maps.amax(0).numpy())
    return model.refine(np.zeros((8, 8, 3), np.uint8), decoded, maps.__getitem__)


def columns(*signs):
    """Logits (16, 16) with a value for each quarter of the width."""
    return np.repeat(np.array(signs, np.float32)[None], 16, 0).repeat(4, 1) * 20


def test_a_kept_mask_wins_where_it_covers():
    # The right class claims one more quarter, its own half is the more probable there.
    masks = np.stack([columns(1, -1, -1, -1), columns(-1, 1, 1, 1)])
    found = two_regions(masks, [0.9, 0.8])
    assert found.labels[0, [0, 3, 5, 7]].tolist() == [0, 1, 1, 1]
    assert found.scores[0, [0, 3, 5]] == pytest.approx([0.7, 0.3, 0.7], abs=1e-3)


def test_the_larger_product_wins_where_masks_overlap():
    masks = np.stack([columns(1, 1, 1, 1), columns(0.01, 0.01, 0.01, 0.01)])
    found = two_regions(masks, [0.9, 0.8])
    # On the right 0.3 * sigmoid(20) is less than 0.7 * sigmoid(0.2).
    assert found.labels[0, [0, 7]].tolist() == [0, 1]
    assert found.scores[0, 7] == pytest.approx(0.7 / (1 + np.exp(-0.2)), abs=1e-4)


def test_a_refused_region_keeps_label_and_score_where_no_mask_covers():
    masks = np.stack([columns(1, -1, -1, -1), columns(1, 1, 1, 1)])
    found = two_regions(masks, [0.9, 0.2])
    assert found.labels[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found.scores[0] == pytest.approx(np.full(8, 0.7), abs=1e-3)


def test_a_refused_region_under_a_foreign_mask_changes_class_at_its_probability():
    masks = np.stack([columns(0.01, 0.01, 0.01, 0.01), columns(1, 1, 1, 1)])
    found = two_regions(masks, [0.9, 0.2])
    assert not found.labels.any()
    half = 1 / (1 + np.exp(-0.2))
    assert found.scores[0, [0, 7]] == pytest.approx([0.7 * half, 0.3], abs=1e-4)


def test_nothing_kept_is_nothing_changed():
    image, decoded, maps = scene()
    assert refiner(sam_iou_thresh=9.0).refine(image, decoded, maps.__getitem__) is decoded
    assert refiner(minimal_area=9999).refine(image, decoded, maps.__getitem__) is decoded
    assert refiner(coarse_thresh=1.0).refine(image, decoded, maps.__getitem__) is decoded


def test_only_classes_that_win_are_asked_for_and_few_at_a_time(monkeypatch):
    image, decoded, maps = scene()
    whole = refiner().refine(image, decoded, maps.__getitem__)
    monkeypatch.setattr("ovseg.refine.sam._MAP_ELEMENTS", 2 * SIZE[0] * SIZE[1])
    asked = []

    def wanted(classes):
        asked.append(list(classes))
        return maps[classes]

    found = refiner().refine(image, decoded, wanted)
    assert {c for part in asked for c in part} <= {3, 7, 9}
    assert max(len(part) for part in asked) == 2
    assert np.array_equal(found.labels, whole.labels)
    assert np.array_equal(found.scores, whole.scores)


def test_the_decoder_never_sees_more_prompts_than_set(monkeypatch):
    image, decoded, maps = scene(seed=1)
    whole = refiner().refine(image, decoded, maps.__getitem__)
    monkeypatch.setattr("ovseg.refine.sam._PROMPTS_AT_ONCE", 2)
    model, seen = refiner(), []
    model.sam.model.mask_decoder.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(len(kwargs["sparse_prompt_embeddings"])),
        with_kwargs=True,
    )
    found = model.refine(image, decoded, maps.__getitem__)
    assert max(seen) == 2
    assert sum(seen) > 2
    assert (found.labels == whole.labels).mean() > 0.999


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 700), (700, 1), (37, 50)])
@pytest.mark.parametrize("classes", [(4,), (3, 7, 9)])
def test_images_of_any_size_and_one_class_only(size, classes):
    image, decoded, maps = scene(size, classes)
    found = refiner(minimal_area=1).refine(image, decoded, maps.__getitem__)
    assert found.labels.shape == size
    assert found.labels.dtype == np.uint8
    assert set(np.unique(found.labels)) <= set(classes)
    assert np.isfinite(found.scores).all()
    assert found.scores.min() >= 0
    assert found.scores.max() <= 1


def test_labels_without_scores_are_refined_too():
    image, decoded, maps = scene()
    expected = refiner().refine(image, decoded, maps.__getitem__)
    found = refiner().refine(image, Decoded(decoded.labels, None), maps.__getitem__)
    assert found.scores is None
    assert np.array_equal(found.labels, expected.labels)


def test_ready_features_save_the_encoder(monkeypatch):
    image, decoded, maps = scene()
    model = refiner()
    features = model.sam.encode(image)
    expected = model.refine(image, decoded, maps.__getitem__)
    monkeypatch.setattr(model.sam.model.image_encoder, "forward", None)
    found = model.refine_with(features, decoded, maps.__getitem__)
    assert np.array_equal(found.labels, expected.labels)


@torch.no_grad()
def test_mask_prompts_are_normalized_over_channels_or_rows():
    sam = refiner().sam
    masks = torch.rand(3, 16, 16)
    _, proper = sam.model.prompt_encoder(points=None, boxes=None, masks=masks[:, None])
    torch.testing.assert_close(encode_masks(sam, masks, "channel"), proper)

    first, norm1, gelu, second, norm2, _, last = sam.model.prompt_encoder.mask_downscaling

    def over_rows(norm, x):
        mean, spread = x.mean(2, keepdim=True), x.var(2, keepdim=True, unbiased=False)
        scaled = (x - mean) / (spread + norm.eps).sqrt()
        return norm.weight[:, None, None] * scaled + norm.bias[:, None, None]

    inner = gelu(over_rows(norm1, first(masks[:, None])))
    expected = last(gelu(over_rows(norm2, second(inner))))
    torch.testing.assert_close(encode_masks(sam, masks, "height"), expected)


def test_settings_out_of_range():
    for options in ({"mask_prompt_norm": "rows"}, {"coarse_thresh": 2.0}, {"minimal_area": 0}):
        with pytest.raises(ConfigError):
            refiner(**options)


def test_absent_weights(monkeypatch):
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="sam_vit_b_01ec64"):
        SamRefiner()
