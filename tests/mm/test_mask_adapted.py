"""Mask-adapted CLIP under mmseg: benchmarks' configurations, checkpoints, the segmentor."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ovseg.datasets import find_benchmark
from ovseg.errors import CheckpointError, ConfigError
from ovseg.masks.mask_prompts import new_prompts
from ovseg.mm.plain import to_dict
from ovseg.models.clip import build_clip
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.proposals.given import PrecomputedMaskProposer
from ovseg.registry import HEADS
from ovseg.segmenter import load
from ovseg.utils.plain_data import resolve_type
from ovseg.zoo import model_entry
from tests.proposals.test_maskformer import SMALL, SWIN, published, published_swin, theirs_of_swin
from tests.weights.test_rename_ovseg import whole_model

FOLDER = Path(__file__).parents[2] / "configs" / "mask_adapted"
SWIN_B = {"ade20k": 0.7, "ade847": 0.7, "context59": 0.6, "context459": 0.6, "voc20": 0.45}


def model_of(name):
    return Config.fromfile(FOLDER / f"mask_adapted_{name}.py")


@pytest.mark.slow
@pytest.mark.parametrize("name", SWIN_B)
def test_the_published_protocol(name):
    config = model_of(f"swin_b_vit_l14_{name}")
    model, benchmark = to_dict(config.model), find_benchmark(name)
    assert model["vocabulary"] == benchmark.vocabulary("mask_adapted")
    assert len(Vocabulary.builtin(model["vocabulary"]).prompts) == benchmark.num_classes
    assert model["templates"] == "vild14"
    assert model["test_cfg"] == {
        "mode": "whole",
        "short_side": 640,
        "long_side": 2560,
        "resize": "pillow",
        "window_batch": 32,
    }
    _, options = resolve_type(model["decode_head"], HEADS, "decode_head")
    assert (options["mask_threshold"], options["weight"]) == (0.4, SWIN_B[name])
    assert config.test_dataloader.dataset.type == benchmark.dataset


@pytest.mark.parametrize(
    ("arch", "zoo"),
    [
        ("swin_b_vit_l14", "mask-adapted-clip-swin-b-vit-l14"),
        ("r101c_vit_b16", "mask-adapted-clip-r101-vit-b16"),
    ],
)
def test_the_models_of_the_zoo_are_those_of_the_configurations(arch, zoo):
    model = to_dict(model_of(f"{arch}_ade20k").model)
    del model["vocabulary"]
    assert model == model_entry(zoo).fresh_spec()
    assert "non-commercial" in model_entry(zoo).license()


@pytest.fixture
def segmentor(tiny_clip_files):
    config, weights = tiny_clip_files
    model = MODELS.build(
        {
            "type": "OpenVocabSegmentor",
            "backbone": {
                "type": "ClipBackbone",
                "model": str(config),
                "pretrained": str(weights),
            },
            "decode_head": {
                "type": "MaskAdaptedClipHead",
                "proposer": {"type": "ComponentProposer", "head": {"type": "MaskClipHead"}},
                "prompts": False,
            },
            "templates": "photo",
            "vocabulary": ["cat", "dog; puppy", "sky"],
            "test_cfg": {"short_side": 40},
            "keep_logits": True,
        }
    )
    head = model.pipeline.head
    head.prompts = True
    head.mask_embedding = torch.nn.Parameter(new_prompts(model.pipeline.clip.tower))
    return model.eval()


@pytest.mark.slow
def test_the_segmentor_labels_pixels_and_keeps_their_scores(segmentor):
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 30, 44))
    (found,) = segmentor.predict(torch.from_numpy(image).float())
    assert found.pred_sem_seg.data.shape == (1, 30, 44)
    assert found.seg_logits.data.shape == (3, 30, 44)
    agreed = found.seg_logits.data.argmax(0) == found.pred_sem_seg.data[0]
    assert agreed.float().mean() > 0.999


@pytest.mark.slow
@pytest.mark.parametrize("flip", [False, True])
def test_masks_of_the_ground_truth(segmentor, flip):
    head = segmentor.pipeline.head
    head.prompts, head.mask_embedding, head.source = (
        False,
        None,
        PrecomputedMaskProposer("ground_truth"),
    )
    image = torch.randint(0, 256, (1, 3, 30, 44)).float()
    labels = torch.full((1, 30, 44), 255)
    labels[:, :, :20], labels[:, 10:, 20:] = 1, 0
    sample = SegDataSample(gt_sem_seg=PixelData(data=labels))
    if flip:
        sample.set_metainfo({"flip": True, "flip_direction": "horizontal"})
    segmentor.predict(image.flip(3) if flip else image, [sample])
    # CLIP may name a region wrongly, but names all of it alike.
    found = sample.pred_sem_seg.data[0]
    assert len(found[:, :20].unique()) == len(found[10:, 20:].unique()) == 1
    assert sample.seg_logits.data.shape == (3, 30, 44)
    assert head.source._given is None  # the labels came with the image, and went with it
    with pytest.raises(ConfigError, match="the images have no labels"):
        segmentor.predict(image)


@pytest.mark.filterwarnings("ignore:weights in the layout of OVSeg")
def test_released_checkpoints_reach_tower_and_prompts(segmentor):
    own = segmentor.pipeline.clip.model.state_dict()
    state = {name: torch.full_like(tensor, 0.01) for name, tensor in own.items()}
    prompts = torch.ones_like(segmentor.pipeline.head.mask_embedding)
    segmentor.load_state_dict(whole_model(state, prompts))
    assert (segmentor.pipeline.clip.model.visual.proj == 0.01).all()
    assert (segmentor.pipeline.head.mask_embedding == 1).all()
    segmentor.load_state_dict(
        {"visual.mask_embedding": 2 * prompts, "logit_scale": own["logit_scale"]}
    )
    assert (segmentor.pipeline.clip.model.visual.proj == 0.01).all()
    assert (segmentor.pipeline.head.mask_embedding == 2).all()
    with pytest.raises(CheckpointError, match="mask_embedding"):
        segmentor.load_state_dict({"visual.mask_embedding": prompts[:, :3]})


@pytest.mark.filterwarnings("ignore:weights in the layout of OVSeg")
@pytest.mark.parametrize("whole", [True, False])
def test_loading_never_switches_prompts_off(segmentor, whole):
    own = segmentor.pipeline.clip.model.state_dict()
    state = {name: torch.full_like(tensor, 0.01) for name, tensor in own.items()}
    state = whole_model(state, None) if whole else state
    before, head = segmentor.pipeline.clip.model.visual.proj.clone(), segmentor.pipeline.head
    with pytest.raises(CheckpointError, match=r"without mask prompts.*decode_head.prompts=False"):
        segmentor.load_state_dict(dict(state))
    assert torch.equal(segmentor.pipeline.clip.model.visual.proj, before)
    assert head.prompts
    assert head.mask_embedding is not None


@pytest.mark.parametrize("prompts", [True, False])
def test_another_clip_switches_the_prompts_off_before_the_model_is_built(prompts):
    spec = {"decode_head": {"type": "MaskAdaptedClipHead", "pretrained": "a file"}}
    state = {"visual.conv1.weight": torch.ones(1)}
    if prompts:
        state["visual.mask_embedding"] = torch.ones(1)
        HEADS["MaskAdaptedClipHead"].fit_to_weights(spec, lambda: state, "other.pt")
        assert spec["decode_head"] == {"type": "MaskAdaptedClipHead", "pretrained": "a file"}
        return
    with pytest.warns(UserWarning, match="other.pt holds a CLIP without mask prompts.*off"):
        HEADS["MaskAdaptedClipHead"].fit_to_weights(spec, lambda: state, "other.pt")
    assert spec["decode_head"]["prompts"] is False
    assert spec["decode_head"]["pretrained"] is None
    HEADS["MaskAdaptedClipHead"].fit_to_weights(spec, dict, "other.pt")
    HEADS["MaskClipHead"].fit_to_weights(spec, pytest.fail, "other.pt")


def test_windows_of_mmseg_are_refused(segmentor):
    with pytest.raises(ConfigError, match="looks at the whole image"):
        segmentor.encode_decode(torch.zeros(1, 3, 32, 32), [])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:weights in the layout of OVSeg")
def test_a_whole_model_of_the_released_layout_segments_an_image(tiny_clip_files, tmp_path):
    config, weights = tiny_clip_files
    clip = build_clip(config, weights)
    network = {"type": "MaskFormerProposer", "backbone": {"type": "SwinFeatures", **SWIN}}
    network |= {"embed_dim": 16, "head": SMALL}
    head = HEADS["MaskAdaptedClipHead"](network, prompts=False).source.network.head
    made = whole_model(clip.model.state_dict(), new_prompts(clip.tower))
    content = {name: tensor for name, tensor in made.items() if name.startswith("clip_adapter.")}
    content = {**published(published_swin(theirs_of_swin()), head), **content}
    content["clip_adapter.non_object_embedding"] = torch.ones(1, 16)
    torch.save({"model": content}, tmp_path / "whole.pth")
    spec = {
        "type": "OpenVocabSegmentor",
        "backbone": {"type": "ClipBackbone", "model": str(config), "pretrained": "manual:whole"},
        "decode_head": {
            "type": "MaskAdaptedClipHead",
            "proposer": {**network, "pretrained": "manual:whole"},
            "pretrained": "manual:whole",
        },
        "templates": "photo",
        "test_cfg": {"short_side": 64, "resize": "pillow"},
    }
    (tmp_path / "model.json").write_text(json.dumps({"model": spec}))
    model = load(tmp_path / "model.json", checkpoint=tmp_path / "whole.pth", device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    found = model.segment(image, ["cat", "dog; puppy", "sky"])
    assert found.labels.shape == (50, 70)
    assert found.scores.min() > 0
    assert model.pipeline.head.source.network.no_object.eq(1).all()
