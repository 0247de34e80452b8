"""CLIP-DINOiser under mmseg's EncoderDecoder, and its checkpoint in place of mmengine's."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ovseg.errors import CheckpointError, ConfigError
from ovseg.heads import ClipDinoiser
from ovseg.models.clip import build_clip
from ovseg.scenes.world import draw_scene

SIZE = (64, 96)
TINY = {"type": "ClipBackbone", "model": "asset:clip_tiny", "pretrained": "asset:clip_tiny"}
CLASS_NAMES = "background, sky, grass, car, house"
SLIDE = {"mode": "slide", "crop_size": (48, 48), "stride": (24, 24)}
DINO = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 3}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A made checkpoint, as CLIP-DINOiser is published."""
    torch.manual_seed(0)
    width = build_clip("asset:clip_tiny", None).tower.width
    path = tmp_path_factory.mktemp("head") / "last.pt"
    state = ClipDinoiser(in_channels=width, channels=8).state_dict()
    torch.save({"epoch": 1, "model_state_dict": state}, path)
    return path, {"in_channels": width, "channels": 8, "temperature": 20.0}


@pytest.fixture(scope="module")
def data():
    image = draw_scene(2_000_002, SIZE).image[:, :, ::-1].copy()
    return torch.from_numpy(image).permute(2, 0, 1)


def predict(model, data):
    sample = SegDataSample(metainfo={"ori_shape": SIZE, "img_shape": SIZE, "pad_shape": SIZE})
    with torch.no_grad():
        (result,) = model.test_step({"inputs": [data], "data_samples": [sample]})
    return result.pred_sem_seg.data


def head_of(mode, weights):
    path, options = weights
    if mode == "trained":
        return {"type": "ClipDinoiserHead", "pretrained": str(path), **options}
    torch.manual_seed(0)
    towers = {name: {"model": DINO, "pretrained": None} for name in ("dino", "found")}
    return {"type": "ClipDinoiserHead", "mode": "direct", "temperature": 20.0, **towers}


def ours(head):
    return MODELS.build(
        {
            "type": "OpenVocabSegmentor",
            "backbone": TINY,
            "decode_head": head,
            "templates": "photo",
            "vocabulary": CLASS_NAMES,
            "test_cfg": {"short_side": None, **SLIDE},
        }
    ).eval()


def encoder_decoder(head, return_intermediates):
    return MODELS.build(
        {
            "type": "EncoderDecoder",
            "data_preprocessor": {"type": "SegDataPreProcessor", "bgr_to_rgb": True},
            "backbone": {**TINY, "return_intermediates": return_intermediates},
            "decode_head": {"vocabulary": CLASS_NAMES, "templates": "photo", **head},
            "test_cfg": ConfigDict(SLIDE),
        }
    ).eval()


@pytest.mark.parametrize("mode", ["trained", "direct"])
def test_encoder_decoder_and_our_segmentor_agree(data, weights, mode):
    head = head_of(mode, weights)
    mine = ours(head)
    theirs = encoder_decoder(head, ["ln_2@-3"] if mode == "trained" else [])
    theirs.decode_head.core.load_state_dict(mine.decode_head.core.state_dict())
    assert (predict(theirs, data) == predict(mine, data)).float().mean() > 0.999


def test_without_the_inner_tokens_the_config_is_refused(data, weights):
    with pytest.raises(ConfigError, match="backbone.return_intermediates"):
        predict(encoder_decoder(head_of("trained", weights), []), data)


def test_a_published_checkpoint_fills_the_head_and_nothing_else(data, weights):
    path, options = weights
    torch.manual_seed(5)
    model = ours({"type": "ClipDinoiserHead", **options})
    before = predict(model, data)
    load_checkpoint(model, str(path))
    assert torch.equal(predict(model, data), predict(ours(head_of("trained", weights)), data))
    assert not torch.equal(predict(model, data), before)


def test_a_checkpoint_of_half_a_head_is_refused(weights, tmp_path):
    path, options = weights
    state = torch.load(path, weights_only=True)["model_state_dict"]
    torch.save({"bkg_decoder.bias": state["bkg_decoder.bias"]}, tmp_path / "half.pt")
    with pytest.raises(CheckpointError, match="3 missing"):
        load_checkpoint(ours({"type": "ClipDinoiserHead", **options}), str(tmp_path / "half.pt"))
