"""Trident on tiny towers: what mixes with what, odd images, options, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ovseg.errors import CheckpointError, ConfigError
from ovseg.heads.proxy import mean_cosine, proxy_attention, through_grid
from ovseg.models.sam import SamEncoder, SamFeatures
from ovseg.pipeline import Pipeline, build_pipeline
from ovseg.segmenter import resolve
from tests.models.test_sam import SMALL

DINO = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 3}
TOWERS = {
    "dino": {"model": DINO, "pretrained": None},
    "sam": {"model": SMALL, "pretrained": None},
}
TINY = {"type": "ClipBackbone", "model": "asset:clip_tiny", "pretrained": "asset:clip_tiny"}
SLIDE = {"mode": "slide", "crop_size": 64, "stride": 32, "short_side": None}
CLASS_NAMES = "cat, background: wall; floor, dog; puppy"


def build(precision: str = "fp32", test_cfg: dict | None = None, **options: object) -> Pipeline:
    torch.manual_seed(0)
    spec = {
        "backbone": TINY,
        "decode_head": {"type": "TridentHead", **TOWERS, **options},
        "templates": "photo",
        "test_cfg": {**SLIDE, **(test_cfg or {})},
    }
    return build_pipeline(spec, precision=precision, cache_dir=None)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return build()


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(70, 100), (20, 30), (1, 1), (1, 5000), (300, 3)])
def test_any_size(pipeline: Pipeline, size: tuple[int, int]) -> None:
    if max(size) > 1000:
        pipeline = build(test_cfg={"short_side": 32, "long_side": 256})
    found = pipeline(image(*size), CLASS_NAMES)
    assert found.labels.shape == size
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("value", [0, 127, 255])
def test_an_even_image_is_finite(pipeline: Pipeline, value: int) -> None:
    found = pipeline(np.full((70, 90, 3), value, np.uint8), CLASS_NAMES)
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("words", ["cat", CLASS_NAMES])
def test_one_class_and_synonyms_anywhere(pipeline: Pipeline, words: str) -> None:
    found = pipeline(image(70, 90), words)
    image_tensor = pipeline.prepare(image(70, 90))
    maps = pipeline.probabilities(image_tensor, words, (70, 90), image(70, 90))
    assert len(maps) == words.count(",") + 1
    torch.testing.assert_close(torch.from_numpy(found.scores), maps.amax(0))
    assert np.array_equal(found.labels, maps.argmax(0).numpy())


def test_sam_sees_the_image_itself(pipeline: Pipeline) -> None:
    """Not the resized one; arrays and the pipeline's own image agree."""
    seen = image(80, 96)
    image_tensor = pipeline.prepare(seen)
    own = pipeline.predict(image_tensor, CLASS_NAMES, (80, 96), image_np=seen).scores
    assert np.array_equal(own, pipeline(seen, CLASS_NAMES).scores)
    assert np.array_equal(own, pipeline.predict(image_tensor, CLASS_NAMES, (80, 96)).scores)
    other = pipeline.predict(image_tensor, CLASS_NAMES, (80, 96), image_np=seen[::-1].copy()).scores
    assert not np.allclose(own, other)


def test_images_do_not_share_anything(pipeline: Pipeline) -> None:
    first, second = image(70, 90), np.full((70, 90, 3), 90, np.uint8)
    alone = pipeline(first, CLASS_NAMES).scores
    pipeline(second, CLASS_NAMES)
    assert np.array_equal(pipeline(first, CLASS_NAMES).scores, alone)


def test_batches_of_windows_change_nothing() -> None:
    """The mean cosine is that of all windows together."""
    some, one = build(test_cfg={"window_batch": 8}), build(test_cfg={"window_batch": 1})
    found = [each(image(96, 160), CLASS_NAMES).scores for each in (some, one)]
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"mean": "window"},
        {"cos_fac": 0.0},
        {"cos_fac": -1.0, "refine_neg_cos": False},
        {"sam_tiles": 2},
        {"sam_grid": "full"},
        {"sam": None},
        {"sam": None, "merge": "scores"},
    ],
)
def test_options_change_the_scores(pipeline: Pipeline, options: dict) -> None:
    seen = image(72, 109)
    found = build(**options)(seen, CLASS_NAMES).scores
    assert np.isfinite(found).all()
    assert not np.allclose(found, pipeline(seen, CLASS_NAMES).scores, atol=1e-6)


def test_half_precision_is_close(pipeline: Pipeline) -> None:
    half = build("bf16")
    assert half.head.dino_tower.model.patch_embed.proj.weight.dtype == torch.bfloat16
    assert half.head.sam_tower.dtype == torch.bfloat16
    seen = image(72, 109)
    full, found = pipeline(seen, CLASS_NAMES), half(seen, CLASS_NAMES)
    assert np.abs(full.scores - found.scores).mean() < 0.05


SAM_TINY = {"model": "asset:sam_tiny.json", "pretrained": "asset:sam_tiny.safetensors"}
REFINER = {"type": "SamRefiner", **SAM_TINY, "sam_iou_thresh": -9.0, "minimal_area": 9}


def refined(refiner: dict, **options: object) -> Pipeline:
    torch.manual_seed(0)
    head = {"type": "TridentHead", **TOWERS, "sam": SAM_TINY, **options}
    spec = {"backbone": TINY, "decode_head": head, "refiner": refiner, "templates": "photo"}
    return build_pipeline({**spec, "test_cfg": SLIDE}, cache_dir=None)


def passes(pipeline: Pipeline, seen: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many images SAM encodes for one result."""
    count, encode = [], SamEncoder.encode

    def watched(*args: object, **options: object) -> SamFeatures:
        count.append(1)
        return encode(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SamEncoder, "encode", watched)
        pipeline(seen, CLASS_NAMES)
    return len(count)


@pytest.mark.parametrize(
    ("refiner", "options", "expected"),
    [
        ({}, {}, 1),
        ({"side_multiple": 5}, {}, 2),
        ({}, {"sam_tiles": 2}, 3),
        ({}, {"sam_grid": "full"}, 2),
    ],
)
def test_one_pass_of_sam_serves_head_and_refiner(
    refiner: dict, options: dict, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the refiner needs the image in another form than the head did."""
    pipeline, seen = refined({**REFINER, **refiner}, **options), image(72, 109)
    assert pipeline.refiner.sam is pipeline.head.sam_tower
    assert passes(pipeline, seen, monkeypatch) == expected
    found = pipeline(seen, CLASS_NAMES)
    monkeypatch.setattr(SamEncoder, "has_seen", lambda *_: False)
    alone = pipeline(seen, CLASS_NAMES)
    assert np.array_equal(found.labels, alone.labels)
    assert np.array_equal(found.scores, alone.scores)


def test_a_refiner_with_another_sam_builds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = refined({**REFINER, "model": SMALL, "pretrained": None})
    assert pipeline.refiner.sam is not pipeline.head.sam_tower
    assert passes(pipeline, image(72, 96), monkeypatch) == 2
    random = refined({**REFINER, **TOWERS["sam"]}, sam=TOWERS["sam"])
    assert random.refiner.sam is not random.head.sam_tower


def test_a_shared_sam_is_no_setting() -> None:
    assert "sam" not in refined(REFINER).protocol()["refiner"]
    with pytest.raises(ConfigError, match="unknown key 'sam'"):
        refined({**REFINER, "sam": None})


@pytest.mark.parametrize("name", ["trident-vit-b16", "trident-vit-l14", "trident-vit-h14"])
def test_models_of_the_zoo_share_their_sam(name: str) -> None:
    spec = resolve(name, device="cpu", refine="sam").spec
    head, refiner = spec["decode_head"]["sam"], spec["refiner"]
    assert head == {key: refiner[key] for key in ("model", "pretrained")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": "batch"}, "mean"),
        ({"merge": "logits"}, "merge"),
        ({"merge": "scores"}, "SAM"),
        ({"sam_tiles": 0}, "sam_tiles"),
        ({"gamma": 0.0}, "gamma"),
        ({"beta": float("nan")}, "beta"),
        ({"sam_grid": "ceil"}, "sam_grid"),
        ({"temperature": 0.0}, "temperature"),
        ({"shift": 1}, "shift"),
    ],
)
def test_wrong_options(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**options)


def test_sam_has_to_be_named() -> None:
    spec = {"backbone": TINY, "decode_head": {"type": "TridentHead", "dino": TOWERS["dino"]}}
    with pytest.raises(ConfigError, match="sam"):
        build_pipeline(spec)


def test_absent_sam_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"no_such\.pth"):
        build(sam={"model": "vit_b", "pretrained": "no_such.pth"})
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    monkeypatch.setenv("OVSEG_CACHE", "/nonexistent")
    with pytest.raises(CheckpointError, match="sam_vit_b_01ec64"):
        build(sam={"model": "vit_b", "pretrained": "sa1b"})


def test_mean_cosine_is_that_of_all_pairs() -> None:
    features = torch.randn(2, 5, 3, 4)
    unit = torch.nn.functional.normalize(features.flatten(2), dim=1)
    pairs = unit.transpose(1, 2) @ unit
    torch.testing.assert_close(mean_cosine(features), pairs.mean((1, 2)))


def test_patches_cut_off_from_all_keep_themselves() -> None:
    features = torch.ones(1, 3, 2, 2)
    attention = proxy_attention(features, mean_cosine(features).view(1, 1, 1), 1.2, 3.0)
    torch.testing.assert_close(attention, torch.eye(4)[None])


def test_attention_through_another_grid_resizes_the_values() -> None:
    attention, values = torch.rand(2, 5, 12), torch.rand(2, 30, 7)
    resized = torch.nn.functional.interpolate(
        values.transpose(1, 2).unflatten(2, (5, 6)), (3, 4), mode="bilinear"
    )
    expected = attention @ resized.flatten(2).transpose(1, 2)
    torch.testing.assert_close(through_grid(attention, (3, 4), (5, 6)) @ values, expected)
    assert through_grid(attention, (3, 4), (3, 4)) is attention
