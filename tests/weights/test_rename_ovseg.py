"""Made files with the names of the released ones, through the loaders of the real ones."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ovseg.errors import CheckpointError
from ovseg.heads import MaskAdaptedClip
from ovseg.masks.mask_prompts import new_prompts, read_prompts
from ovseg.models.clip import build_clip
from ovseg.segmenter import load
from ovseg.weights.rename_ovseg import place

GIVEN = {"type": "PrecomputedMaskProposer"}
LAYOUT = "ignore:weights in the layout of OVSeg"


@pytest.fixture(scope="module")
def parts(tiny_clip_files):
    config, weights = tiny_clip_files
    state = load_file(weights)
    torch.manual_seed(1)
    state = {name: torch.randn_like(tensor) * 0.02 for name, tensor in state.items()}
    return config, state, new_prompts(build_clip(config, None).tower)


def whole_model(state, prompts):
    clip = {f"clip_adapter.clip_model.{name}": tensor for name, tensor in state.items()}
    if prompts is not None:
        clip["clip_adapter.clip_model.visual.mask_embedding"] = prompts
    return {
        **clip,
        "clip_adapter.non_object_embedding": torch.zeros(1, 16),
        "clip_adapter.pixel_mean": torch.zeros(1, 3, 1, 1),
        "clip_adapter.pixel_std": torch.ones(1, 3, 1, 1),
        "backbone.patch_embed.proj.weight": torch.zeros(4, 3, 4, 4),
        "sem_seg_head.predictor.query_embed.weight": torch.zeros(5, 8),
        "criterion.empty_weight": torch.ones(172),
    }


def saved(path, content):
    torch.save(content, path)
    return path


@pytest.fixture
def whole(parts, tmp_path):
    _, state, prompts = parts
    return saved(tmp_path / "whole.pth", {"model": whole_model(state, prompts), "iteration": 3})


def test_a_whole_model_gives_clip_and_prompts_and_tells_its_license(parts, whole):
    config, state, prompts = parts
    with pytest.warns(UserWarning, match=r"CC BY-NC 4.0 \(non-commercial\)"):
        clip = build_clip(config, whole)
    for name, tensor in clip.model.state_dict().items():
        assert torch.equal(tensor, state[name])
    with pytest.warns(UserWarning, match="non-commercial"):
        head = MaskAdaptedClip(GIVEN, pretrained=whole)
    head.check(clip)
    assert torch.equal(head.mask_embedding, prompts)


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_a_clip_of_a_trainer_loses_its_prefix_where_it_has_one(parts, tmp_path, prefix):
    config, state, prompts = parts
    tuned = {**state, "visual.mask_embedding": prompts}
    content = {
        "epoch": 5,
        "name": "run",
        "state_dict": {prefix + name: tensor for name, tensor in tuned.items()},
        "optimizer": {"state": {}, "param_groups": []},
    }
    path = saved(tmp_path / "clip.pt", content)
    clip = build_clip(config, path)
    assert torch.equal(clip.model.visual.proj, state["visual.proj"])
    assert torch.equal(read_prompts(path), prompts)


@pytest.mark.filterwarnings(LAYOUT)
def test_names_that_belong_nowhere_are_refused(parts, tmp_path):
    config, state, prompts = parts
    content = {**whole_model(state, prompts), "clip_adapter.other": torch.zeros(1)}
    path = saved(tmp_path / "odd.pth", {"model": content})
    with pytest.raises(CheckpointError, match="clip_adapter.other"):
        build_clip(config, path)
    with pytest.raises(CheckpointError, match="clip_adapter.other"):
        read_prompts(path)


@pytest.mark.filterwarnings(LAYOUT)
def test_a_missing_or_foreign_tensor_of_clip_is_refused(parts, tmp_path):
    config, state, prompts = parts
    lacking = {name: tensor for name, tensor in state.items() if name != "visual.proj"}
    with pytest.raises(CheckpointError, match=r"missing visual\.proj"):
        build_clip(config, saved(tmp_path / "a.pth", {"model": whole_model(lacking, prompts)}))
    foreign = {**state, "visual.other": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"left over visual\.other"):
        build_clip(config, saved(tmp_path / "b.pth", {"model": whole_model(foreign, prompts)}))


@pytest.mark.filterwarnings(LAYOUT)
def test_absent_prompts_are_an_error_and_never_zeros(parts, tmp_path):
    _, state, _ = parts
    path = saved(tmp_path / "ft.pth", {"model": whole_model(state, None)})
    with pytest.raises(CheckpointError, match="there is no prompt tensor"):
        MaskAdaptedClip(GIVEN, pretrained=path)
    assert MaskAdaptedClip(GIVEN, pretrained=path, prompts=False).mask_embedding is None


def spec_of(**head):
    return {
        "backbone": {"pretrained": "old", "tuned": "older"},
        "decode_head": {"prompts": True, "pretrained": "old", "proposer": GIVEN, **head},
    }


def test_a_file_is_named_where_it_belongs(parts):
    _, state, prompts = parts
    network = {"type": "MaskFormerProposer", "pretrained": "old"}
    spec = spec_of(proposer=network)
    place(spec, whole_model(state, prompts), "new")
    assert spec["backbone"] == {"pretrained": "new"}
    assert spec["decode_head"]["pretrained"] == "new"
    assert spec["decode_head"]["proposer"]["pretrained"] == "new"
    spec = spec_of()
    place(spec, {"visual.mask_embedding": prompts}, "new")
    assert spec["backbone"] == {"pretrained": "old", "tuned": "older"}
    assert spec["decode_head"]["pretrained"] == "new"
    spec = spec_of(proposer=network)
    with pytest.warns(UserWarning, match="switched off"):
        place(spec, {"visual.conv1.weight": prompts}, "new")
    assert spec["backbone"] == {"pretrained": "old", "tuned": "new"}
    assert spec["decode_head"] == {"prompts": False, "pretrained": None, "proposer": network}
    with pytest.raises(CheckpointError, match="nothing for mask-adapted CLIP"):
        place(spec_of(), {"obj_proj.weight": prompts}, "new")


@pytest.mark.filterwarnings(LAYOUT)
def test_a_checkpoint_of_the_command_line_reaches_tower_and_head(parts, whole, tmp_path):
    config, state, prompts = parts
    spec = {
        "type": "OpenVocabSegmentor",
        "backbone": {"type": "ClipBackbone", "model": str(config), "pretrained": None},
        "decode_head": {"type": "MaskAdaptedClipHead", "proposer": GIVEN, "prompts": False},
        "templates": "photo",
        "test_cfg": {"short_side": 32},
    }
    (tmp_path / "model.json").write_text(json.dumps({"model": spec}))
    model = load(tmp_path / "model.json", checkpoint=whole, device="cpu")
    assert torch.equal(model.pipeline.clip.model.visual.proj, state["visual.proj"])
    assert torch.equal(model.pipeline.head.mask_embedding, prompts)
    model.pipeline.head.source.set_masks(np.ones((1, 32, 32), bool))
    found = model.segment(np.zeros((32, 32, 3), np.uint8), ["cat", "dog"])
    assert np.isfinite(found.scores).all()


def test_a_proposal_network_goes_to_a_model_that_has_one(parts):
    spec = spec_of(proposer={"type": "MaskFormerProposer"})
    place(spec, {"no_object": parts[2]}, "new")
    assert spec["decode_head"]["proposer"]["pretrained"] == "new"
    with pytest.raises(CheckpointError, match="masks come from elsewhere"):
        place(spec_of(), {"no_object": parts[2]}, "new")
