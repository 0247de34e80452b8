"""The pipeline as a segmentor of mmseg."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import load_state_dict
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ovseg.errors import CheckpointError, ConfigError, PromptError
from ovseg.mm.plain import to_dict
from ovseg.pipeline import build_pipeline
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.scenes.world import CLASSES, draw_scene
from ovseg.weights.read import read_state_dict
from ovseg.weights.sources import asset_path
from tests.small_sam import SMALL

CLIP_FILE = str(asset_path("clip_tiny.safetensors"))
SIZE = (72, 96)


def make(config, **changes):
    return MODELS.build({**to_dict(config.model), **changes}).eval()


@pytest.fixture(scope="module")
def model(config_path):
    return make(Config.fromfile(config_path))


@pytest.fixture(scope="module")
def image():
    return draw_scene(2_000_001, SIZE).image


def as_input(image):
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()


def sample(**meta):
    return SegDataSample(metainfo={"img_path": "a.png", "ori_shape": SIZE, **meta})


def labels(model, inputs, **meta):
    (result,) = model.predict(inputs, [sample(**meta)])
    return result.pred_sem_seg.data


def test_labels_are_those_of_the_pipeline(model, image, config):
    found = labels(model, as_input(image))
    expected = build_pipeline(to_dict(config.model))(image, "scenes").labels
    assert found.shape == (1, *SIZE)
    assert found.dtype == torch.int64
    assert np.array_equal(found[0].numpy(), expected)


def test_bgr_images_are_turned_by_the_default_preprocessor(model, image):
    bgr = torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1)
    (result,) = model.test_step({"inputs": [bgr], "data_samples": [sample()]})
    assert torch.equal(result.pred_sem_seg.data, labels(model, as_input(image)))


def test_a_resized_image_is_taken_as_it_is(model, image):
    small = as_input(image)[..., ::2, ::2]
    found = labels(model, small)
    expected = model.pipeline.predict(small[0] / 255, "scenes", SIZE).labels
    assert np.array_equal(found[0].numpy(), expected)


def test_padding_is_cut_off(model, image):
    padded = torch.nn.functional.pad(as_input(image), (3, 5, 2, 7))
    expected = labels(model, as_input(image))
    for key in ("padding_size", "img_padding_size"):
        assert torch.equal(labels(model, padded, **{key: (3, 5, 2, 7)}), expected)


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 3), ("vertical", 2)])
def test_results_of_flipped_images_are_turned_back(model, image, direction, axis):
    flipped = as_input(image).flip(axis)
    found = labels(model, flipped, flip=True, flip_direction=direction)
    assert torch.equal(found, labels(model, flipped).flip(axis - 1))


def test_without_data_samples_the_image_has_its_own_size(model, image):
    results = model.predict(torch.cat([as_input(image)] * 2))
    assert [r.pred_sem_seg.data.shape for r in results] == [(1, *SIZE)] * 2
    assert "seg_logits" not in results[0]


def test_logits_are_log_probabilities_when_asked_for(config, image):
    model = make(config, keep_logits=True)
    (result,) = model.predict(as_input(image), [sample()])
    logits = result.seg_logits.data
    assert logits.shape == (len(CLASSES), *SIZE)
    assert torch.allclose(logits.exp().sum(0), torch.ones(SIZE), atol=1e-4)
    assert (logits.argmax(0) == result.pred_sem_seg.data[0]).float().mean() > 0.999


def test_test_time_augmentation_runs(config, image):
    tta = SegTTAModel(module=make(config, keep_logits=True))
    bgr = torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1)
    flips = [{}, {"flip": True, "flip_direction": "horizontal"}]
    views = [bgr, bgr.flip(2)]
    data = {"inputs": [[v] for v in views], "data_samples": [[sample(**f)] for f in flips]}
    (result,) = tta.test_step(data)
    assert result.pred_sem_seg.data.shape == (1, *SIZE)


def test_a_refiner_sees_the_image(config, image):
    model = make(config, refiner={"type": "PamrRefiner", "steps": 2, "dilations": [1, 2]})
    expected = build_pipeline(
        {
            **to_dict(config.model),
            "refiner": {"type": "PamrRefiner", "steps": 2, "dilations": [1, 2]},
        }
    )(image, "scenes")
    assert np.array_equal(labels(model, as_input(image))[0].numpy(), expected.labels)
    assert type(MODELS.build({"type": "PamrRefiner"})) is type(model.refiner)


def test_sam_refines_by_configuration(config, image):
    refiner = {"type": "SamRefiner", "model": SMALL, "pretrained": None, "sam_iou_thresh": -9.0}
    model = make(config, refiner=refiner)
    (result,) = model.predict(as_input(image), [sample()])
    assert result.pred_sem_seg.data.shape == (1, *SIZE)
    assert not any(p.requires_grad for p in model.refiner.parameters())
    # A checkpoint of a model without the refiner leaves SAM as it is.
    weights = make(config).state_dict()
    assert not model.load_state_dict(weights).missing_keys


def test_classes_are_those_of_the_vocabulary_whatever_mmseg_assigns(model, caplog):
    with caplog.at_level("DEBUG", logger="ovseg"):
        model.dataset_meta = {"classes": ("road",), "palette": [[1, 2, 3]]}
    assert "dataset_meta (1 classes) is not taken over" in caplog.text
    assert model.dataset_meta["classes"] == CLASSES
    assert len(model.dataset_meta["palette"]) == model.num_classes == model.out_channels == 40


def test_words_can_be_changed(config, image):
    model = make(config)
    model.set_vocabulary("sky, ground; grass")
    assert model.dataset_meta["classes"] == ("sky", "ground")
    expected = model.pipeline(image, Vocabulary.parse("sky, ground; grass")).labels
    assert np.array_equal(labels(model, as_input(image))[0].numpy(), expected)


def test_without_words_the_error_says_how_to_name_them(config, image):
    model = make(config, vocabulary=None)
    with pytest.raises(PromptError, match="no classes.*vocabulary="):
        model.predict(as_input(image))


def test_a_threshold_needs_a_background_class(config):
    test_cfg = {"threshold": 0.5}
    with pytest.raises(ConfigError, match="threshold of 0.5, and no background"):
        make(config, test_cfg=test_cfg)
    assert make(config, test_cfg=test_cfg, vocabulary="background, sky").num_classes == 2


def test_unknown_settings_are_named(config):
    with pytest.raises(ConfigError, match="short_side"):
        make(config, test_cfg={"short_sid": 3})
    with pytest.raises(ConfigError, match="MaskClipHead"):
        make(config, decode_head={"type": "MaskClipHed"})


def test_normalized_images_are_refused(config, image):
    model = make(
        config,
        data_preprocessor={
            "type": "SegDataPreProcessor",
            "mean": [100.0] * 3,
            "std": [50.0] * 3,
            "bgr_to_rgb": True,
        },
    )
    data = {"inputs": [as_input(image)[0]], "data_samples": [sample()]}
    with pytest.raises(ConfigError, match="come normalized"):
        model.test_step(data)


def test_training_is_refused(model, image):
    with pytest.raises(ConfigError, match="nothing to train"):
        model(as_input(image), [sample()], mode="loss")


def test_mmseg_faces_for_one_window(model, image):
    inputs = as_input(image)
    with torch.no_grad():
        cells = model(inputs, mode="tensor")
        pixels = model.encode_decode(inputs, [{}])
    assert cells.shape == (1, 40, SIZE[0] // 8, SIZE[1] // 8)
    assert pixels.shape == (1, 40, *SIZE)


def test_a_plain_clip_file_is_a_checkpoint(config, image):
    random = make(config, backbone={**to_dict(config.model.backbone), "pretrained": None})
    before, words = labels(random, as_input(image)), random._text()
    load_checkpoint(random, CLIP_FILE)
    trained = make(config)
    assert all(map(torch.equal, random.state_dict().values(), trained.state_dict().values()))
    after = labels(random, as_input(image))
    assert torch.equal(after, labels(trained, as_input(image)))
    assert not torch.equal(after, before)
    assert torch.equal(random._text(), trained._text())
    assert not torch.equal(random._text(), words)
    assert random.backbone.clip.weights_hash != trained.pipeline.protocol()["weights_hash"]


def test_its_own_checkpoint_comes_back(config, tmp_path):
    model = make(config)
    state = {name: tensor + 0.01 for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "a.pth")
    load_checkpoint(model, str(tmp_path / "a.pth"))
    assert all(torch.equal(state[name], now) for name, now in model.state_dict().items())


def test_checkpoints_that_do_not_fit_are_refused(model):
    whole = model.state_dict()
    first = next(iter(whole))
    with pytest.raises(CheckpointError, match="1 left over: head.w"):
        load_state_dict(model, {**whole, "head.w": torch.ones(1)})
    with pytest.raises(CheckpointError, match=f"1 missing: {first.removeprefix('backbone.')}"):
        load_state_dict(model, {name: t for name, t in whole.items() if name != first})
    other = {**read_state_dict(CLIP_FILE), "text_projection": torch.ones(3, 3)}
    with pytest.raises(CheckpointError, match=r"1 of another shape: clip.model.text_projection"):
        load_state_dict(model, other)


def test_half_precision_is_passed_on(config, image):
    model = make(config, precision="bf16")
    assert model.pipeline.protocol()["precision"] == "bfloat16"
    assert labels(model, as_input(image)).shape == (1, *SIZE)


def test_one_encoder_stands_behind_all_parts(config):
    """Backbone, pipeline and text bank run the same encoder, and the head keeps none beside it."""
    model = make(config)
    clip = model.pipeline.clip
    assert model.backbone.clip is clip
    assert model.pipeline.bank.clip is clip
    visual = id(clip.model.visual)
    assert len(list(paths_to(model, visual))) <= 9


def paths_to(part, wanted, path=()):
    """Attribute paths from a model to one of its modules, by objects of ovseg and of torch."""
    if id(part) == wanted:
        yield path
    elif len(path) < 7:
        inner = {**vars(part), **getattr(part, "_modules", {})}
        for name, each in inner.items():
            ours = type(each).__module__.startswith("ovseg.")
            if ours or isinstance(each, torch.nn.Module):
                yield from paths_to(each, wanted, (*path, name))
