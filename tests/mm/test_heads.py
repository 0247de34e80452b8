"""Heads of ovseg under mmseg's plain EncoderDecoder."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ovseg.errors import ConfigError, PromptError
from ovseg.mm.heads import merge_synonyms
from ovseg.scenes.world import draw_scene

SIZE = (64, 96)
BACKBONE = {"type": "ClipBackbone", "model": "asset:clip_tiny", "pretrained": "asset:clip_tiny"}
CLASS_NAMES = "sky, grass, car; automobile, house"
WHOLE = {"mode": "whole"}
SLIDE = {"mode": "slide", "crop_size": (48, 48), "stride": (24, 24)}


PLAIN_CLASS_NAMES = "sky, grass, car, house"


def encoder_decoder(test_cfg, head=None, vocabulary=CLASS_NAMES, pad="before"):
    return MODELS.build(
        {
            "type": "EncoderDecoder",
            "data_preprocessor": {"type": "SegDataPreProcessor", "bgr_to_rgb": True},
            "backbone": {**BACKBONE, "pad_mode": pad},
            "decode_head": {
                "type": "MaskClipHead",
                "vocabulary": vocabulary,
                "templates": "photo",
                **(head or {}),
            },
            "test_cfg": test_cfg,
        }
    ).eval()


def ours(test_cfg, head=None, vocabulary=CLASS_NAMES, pad="before"):
    return MODELS.build(
        {
            "type": "OpenVocabSegmentor",
            "backbone": {**BACKBONE, "pad_mode": pad},
            "decode_head": {"type": "MaskClipHead", **(head or {})},
            "templates": "photo",
            "vocabulary": vocabulary,
            "test_cfg": {"short_side": None, **test_cfg},
        }
    ).eval()


@pytest.fixture(scope="module")
def data():
    image = draw_scene(2_000_002, SIZE).image[:, :, ::-1].copy()
    return torch.from_numpy(image).permute(2, 0, 1)


def predict(model, data):
    sample = SegDataSample(metainfo={"ori_shape": SIZE, "img_shape": SIZE, "pad_shape": SIZE})
    with torch.no_grad():
        (result,) = model.test_step({"inputs": [data], "data_samples": [sample]})
    return result


HEADS = [
    {},
    {"score_type": "probs", "temperature": 40.0},
    {"prompt_denoising": 0.3},
    {"type": "DeClipHead", "mode": "csa"},
]


def agreement(data, test_cfg, head, words):
    """Share of pixels with equal labels; the two may round a tie apart, no more."""
    theirs = predict(encoder_decoder(ConfigDict(test_cfg), head, words), data)
    mine = predict(ours(test_cfg, head, words), data)
    assert theirs.seg_logits.data.shape == (4, *SIZE)
    return (theirs.pred_sem_seg.data == mine.pred_sem_seg.data).float().mean()


@pytest.mark.parametrize("test_cfg", [WHOLE, SLIDE], ids=["whole", "slide"])
@pytest.mark.parametrize("head", HEADS)
def test_encoder_decoder_and_our_segmentor_agree(data, test_cfg, head):
    assert agreement(data, test_cfg, head, PLAIN_CLASS_NAMES) > 0.999


def test_padding_around_a_window_is_cut_off_in_both(data):
    windows = {"mode": "slide", "crop_size": (44, 60), "stride": (20, 36)}
    head = {"type": "DeClipHead"}
    theirs = predict(encoder_decoder(ConfigDict(windows), head, PLAIN_CLASS_NAMES, "around"), data)
    mine = predict(
        ours({**windows, "cell_alignment": "around"}, head, PLAIN_CLASS_NAMES, "around"), data
    )
    assert (theirs.pred_sem_seg.data == mine.pred_sem_seg.data).float().mean() > 0.999


@pytest.mark.parametrize("head", HEADS)
def test_synonyms_merged_at_the_patches_change_little(data, head):
    """mmseg merges before resizing, we after it; only borders of two synonyms can differ."""
    assert agreement(data, WHOLE, head, CLASS_NAMES) > 0.98


def test_the_number_of_classes_comes_from_the_vocabulary():
    model = encoder_decoder(WHOLE)
    assert model.num_classes == model.out_channels == model.decode_head.num_classes == 4


def test_logits_carry_the_temperature(data):
    inputs = data[[2, 1, 0]][None].float()
    with torch.no_grad():
        plain, sharp = (
            encoder_decoder(WHOLE, {"temperature": t})(inputs, mode="tensor") for t in (1.0, 40.0)
        )
    assert torch.allclose(plain * 40, sharp, atol=1e-4)
    assert float(plain.abs().max()) <= 1


def test_words_are_encoded_once(data):
    model = encoder_decoder(WHOLE)
    clip = model.backbone.clip
    assert model.decode_head.text_embeddings(clip) is model.decode_head.text_embeddings(clip)
    clip.weights_hash = "0" * 64
    first = model.decode_head.text_embeddings(clip)
    clip.weights_hash = "1" * 64
    assert model.decode_head.text_embeddings(clip) is not first


def test_synonyms_take_the_best():
    scores = torch.tensor([[1.0, 2.0], [5.0, 0.0], [3.0, 3.0]]).view(1, 3, 1, 2)
    merged = merge_synonyms(scores, (0, 0, 1), 2)
    assert merged.flatten(2).tolist() == [[[5.0, 2.0], [3.0, 3.0]]]
    assert merge_synonyms(scores, (0, 1, 2), 3) is scores


def test_classes_must_be_named_and_be_two():
    with pytest.raises(PromptError, match="no classes.*vocabulary="):
        encoder_decoder(WHOLE, vocabulary=None)
    with pytest.raises(PromptError, match="one class only"):
        encoder_decoder(WHOLE, vocabulary=["dog"])


def test_training_is_refused(data):
    model = encoder_decoder(WHOLE)
    with pytest.raises(ConfigError, match="MaskClipHead has nothing to train"):
        model(data[None].float(), [SegDataSample()], mode="loss")


def test_images_that_no_preprocessor_put_into_a_batch_are_refused():
    model = encoder_decoder(WHOLE)
    with pytest.raises(ConfigError, match="SegDataPreProcessor"):
        model.backbone([torch.zeros(3, *SIZE)])
