import cv2
import numpy as np
import pytest
import torch

from ovseg.errors import ConfigError, InputError, RuntimeLimitError
from ovseg.pipeline import Pipeline, build_pipeline
from ovseg.prompts.vocabulary import Vocabulary
from tests.small_sam import SMALL

CLASS_NAMES = "cat, dog; puppy, sky"
SAM = {"type": "SamRefiner", "model": SMALL, "pretrained": None, "sam_iou_thresh": -9.0}
SLIDE = {"mode": "slide", "crop_size": 32, "stride": 16, "short_side": 48}


def spec_of(files, **changes):
    backbone = {"type": "ClipBackbone", "model": str(files[0]), "pretrained": str(files[1])}
    spec = {
        "type": "OpenVocabSegmentor",
        "backbone": backbone,
        "decode_head": {"type": "MaskClipHead", "temperature": 40.0},
        "templates": "photo",
        "test_cfg": SLIDE,
    }
    return {**spec, **changes}


@pytest.fixture(scope="module")
def make(tiny_clip_files):
    def build(*, precision="fp32", **changes):
        spec = spec_of(tiny_clip_files, **changes)
        return build_pipeline(spec, cache_dir=None, precision=precision)

    return build


@pytest.fixture(scope="module")
def pipeline(make):
    return make()


def image(height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(40, 60), (1, 1), (1, 5000), (5000, 1), (300, 90)])
def test_images_of_all_sizes(pipeline, size):
    found = pipeline(image(*size), CLASS_NAMES)
    assert found.labels.shape == found.scores.shape == size
    assert found.labels.max() < 3
    assert np.isfinite(found.scores).all()
    assert found.scores.min() >= 1 / 4 - 1e-6
    assert found.scores.max() <= 1


@pytest.mark.parametrize("value", [0, 127, 255])
@pytest.mark.parametrize("refiner", [None, {"type": "PamrRefiner", "steps": 2}, SAM])
def test_constant_images_have_finite_scores(make, value, refiner):
    found = make(refiner=refiner)(np.full((30, 40, 3), value, np.uint8), CLASS_NAMES)
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("size", [(97, 130), (224, 100), (48, 48), (3, 900)])
def test_resizing_is_that_of_mmcv(pipeline, size):
    import mmcv

    pixels = image(*size)
    expected = mmcv.imrescale(pixels, (2048, 48))
    found = (pipeline.prepare(pixels) * 255).permute(1, 2, 0).numpy()
    assert np.array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_the_number_of_windows_at_a_time_changes_nothing(make, pipeline, batch):
    pixels = image(70, 200)
    expected = pipeline(pixels, CLASS_NAMES)
    found = make(test_cfg={**SLIDE, "window_batch": batch})(pixels, CLASS_NAMES)
    assert np.array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def test_synonyms_vote_for_their_class(pipeline):
    pixels = image(60, 60)
    merged = pipeline(pixels, "cat, dog; puppy, sky")
    apart = pipeline(pixels, "cat, dog, puppy, sky")
    assert np.array_equal(merged.labels, np.array([0, 1, 1, 2], np.uint8)[apart.labels])
    np.testing.assert_allclose(merged.scores, apart.scores, atol=1e-6)


def test_unsure_pixels_become_the_background_class(make):
    vocabulary = Vocabulary.parse(["cat", "dog", "background"])
    found = make(test_cfg={**SLIDE, "threshold": 1.0})(image(40, 40), vocabulary)
    assert (found.labels == 2).all()


def test_probabilities_agree_with_labels(pipeline):
    image_tensor = pipeline.prepare(image(50, 64))
    maps = pipeline.probabilities(image_tensor, "cat, dog, sky", (50, 64))
    found = pipeline.predict(image_tensor, "cat, dog, sky", (50, 64))
    torch.testing.assert_close(maps.sum(0), torch.ones(50, 64))
    np.testing.assert_allclose(maps.amax(0), found.scores, atol=1e-5)


@pytest.mark.parametrize(
    "head",
    [
        {"type": "MaskClipHead", "temperature": 40.0},
        {
            "type": "ClipDinoiserHead",
            "in_channels": 16,
            "channels": 8,
            "feats_idx": "final",
            "clean_background": False,
        },
    ],
)
def test_sam_refines_behind_any_head(make, head):
    pixels = image(60, 80)
    torch.manual_seed(0)
    refined = make(decode_head=head, refiner={**SAM, "minimal_area": 9})
    bare = Pipeline(
        refined.clip, refined.head, templates="photo", settings=refined.settings, cache_dir=None
    )
    found, coarse = refined(pixels, CLASS_NAMES), bare(pixels, CLASS_NAMES)
    assert found.labels.shape == (60, 80)
    assert set(np.unique(found.labels)) <= set(np.unique(coarse.labels))
    assert not np.array_equal(found.scores, coarse.scores)
    protocol = refined.protocol()
    assert protocol["refiner"]["mask_prompt_norm"] == "height"
    assert len(protocol["refiner_weights_hash"]) == 64


def test_refiner_sharpens_the_result(make, pipeline):
    pixels = image(60, 80)
    refined = make(refiner={"type": "PamrRefiner", "steps": 3, "dilations": [1, 2]})
    found, coarse = refined(pixels, CLASS_NAMES), pipeline(pixels, CLASS_NAMES)
    assert found.labels.shape == coarse.labels.shape
    assert not np.array_equal(found.scores, coarse.scores)
    # Without the image, the refiner gets what the network saw.
    image_tensor = refined.prepare(pixels)
    assert refined.predict(image_tensor, CLASS_NAMES, (60, 80)).labels.shape == (60, 80)


def test_labels_without_scores(pipeline):
    pixels = image(50, 50)
    found = pipeline(pixels, CLASS_NAMES, want_scores=False)
    assert found.scores is None
    assert np.array_equal(found.labels, pipeline(pixels, CLASS_NAMES).labels)


def test_words_are_encoded_once(pipeline, monkeypatch):
    first = pipeline.text_embeddings(Vocabulary.parse(CLASS_NAMES))
    monkeypatch.setattr(pipeline.bank, "encode", None)
    assert torch.equal(pipeline.text_embeddings(Vocabulary.parse(CLASS_NAMES)), first)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4), np.uint8), r"\(4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
    ],
)
def test_arrays_that_are_no_images(pipeline, array, message):
    with pytest.raises(InputError, match=message):
        pipeline(array, CLASS_NAMES)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_first_bad_number_is_named(pipeline, value):
    image = torch.rand(3, 32, 40)
    image[1, 5, 7] = image[2, 0, 0] = value
    with pytest.raises(InputError, match=r"\(1, 5, 7\)"):
        pipeline.predict(image, CLASS_NAMES, (32, 40))


@pytest.mark.parametrize("image", [torch.rand(3, 8, 8) * 255, torch.rand(1, 3, 8, 8)])
def test_tensors_that_are_no_images(pipeline, image):
    with pytest.raises(InputError):
        pipeline.predict(image, CLASS_NAMES, (8, 8))


def test_protocol_holds_what_moves_the_number(make, tiny_clip_files):
    protocol = make(refiner={"type": "PamrRefiner"}).protocol()
    assert protocol["crop_size"] == (32, 32)
    assert protocol["threshold"] == 0.0
    assert protocol["decode_head"]["temperature"] == 40.0
    assert protocol["decode_head"]["attention_mode"] == "value"
    pamr = {"steps": 10, "dilations": (8, 16), "on": "probabilities"}
    assert protocol["refiner"] == {"type": "PamrRefiner", **pamr}
    assert protocol["template_count"] == 1
    assert len(protocol["weights_hash"]) == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "EncoderDecoder"}, "OpenVocabSegmentor"),
        ({"decodehead": {}}, "decode_head"),
        ({"decode_head": {"type": "MaskClipHead", "temprature": 1}}, "temperature"),
        ({"decode_head": {"type": "MaskClip"}}, "MaskClipHead"),
        ({"decode_head": {"type": "MaskClipHead", "temperature": "hot"}}, "wrong kind"),
        ({"refiner": {"type": "Pamr"}}, "PamrRefiner"),
        ({"backbone": {"type": "ClipBackbone", "modell": "x"}}, "model"),
        ({"backbone": {"type": "ClipBackbone"}}, "model"),
        ({"backbone": {"type": "ResNet"}}, "ClipBackbone"),
        ({"test_cfg": {"crop": 8}}, "crop_size"),
        (
            {
                "backbone": {
                    "type": "ClipBackbone",
                    "model": "x",
                    "pretrained": None,
                    "device": "cpu",
                }
            },
            "leave it out",
        ),
    ],
)
def test_settings_are_checked_before_weights_are_read(
    tiny_clip_files, monkeypatch, changes, message
):
    monkeypatch.setattr("ovseg.models.clip.find_weights", None)
    with pytest.raises(ConfigError, match=message):
        build_pipeline(spec_of(tiny_clip_files, **changes))


def test_strict_refuses_a_crop_between_patches(tiny_clip_files):
    spec = spec_of(tiny_clip_files, test_cfg={**SLIDE, "crop_size": 30})
    with pytest.raises(ConfigError, match="patch"):
        build_pipeline(spec, strict=True)
    with pytest.warns(UserWarning, match="patch"):
        assert build_pipeline(spec).settings.crop_size == (32, 32)


def test_half_precision_gives_nearly_the_same_labels(make, pipeline):
    half = make(precision="bf16")
    assert half.protocol()["precision"] == "bfloat16"
    found, exact = half(image(90, 90), CLASS_NAMES), pipeline(image(90, 90), CLASS_NAMES)
    sure = exact.scores > 0.6
    assert (found.labels == exact.labels)[sure].mean() >= 0.999


def test_short_memory_means_smaller_pieces(make, monkeypatch):
    pipeline = make()
    expected = pipeline(image(60, 100), CLASS_NAMES)
    trunk, sizes = pipeline.clip.run_backbone, []

    def greedy(images, return_intermediates=()):
        sizes.append(len(images))
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return trunk(images, return_intermediates)

    monkeypatch.setattr(pipeline.clip, "run_backbone", greedy)
    with pytest.warns(UserWarning, match="smaller pieces"):
        found = pipeline(image(60, 100), CLASS_NAMES)
    assert sizes[:2] == [8, 8]
    assert set(sizes[2:]) == {1}
    assert np.array_equal(found.labels, expected.labels)


@pytest.mark.filterwarnings("ignore:memory is short")
def test_too_little_memory(make, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    pipeline = make()
    monkeypatch.setattr(pipeline.clip, "run_backbone", full)
    with pytest.raises(RuntimeLimitError, match="60 x 100 pixels, 4 prompts, cpu"):
        pipeline(image(60, 100), CLASS_NAMES)


def test_images_may_be_resized_by_pillow(make):
    from PIL import Image

    pixels = image(97, 130)
    found = make(test_cfg={**SLIDE, "resize": "pillow"}).prepare(pixels)
    expected = np.asarray(Image.fromarray(pixels).resize((64, 48), Image.Resampling.BILINEAR))
    assert np.array_equal((found * 255).permute(1, 2, 0).numpy(), expected.astype(np.float32))
