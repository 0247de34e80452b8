"""What may stand for CHECKPOINT, and what is refused."""

import pytest
import torch
from mmengine.runner import load_checkpoint
from torch import nn

import ovseg.mm  # noqa: F401 - registers
from ovseg.errors import CheckpointError
from ovseg.mm.backbone import ClipBackbone
from ovseg.mm.checkpoints import (
    load_from_local,
    refuse_left_over,
    rename_clip,
    require_whole,
)
from ovseg.weights.read import read_state_dict
from ovseg.weights.sources import asset_path

TINY = {"model": "asset:clip_tiny", "pretrained": "asset:clip_tiny"}
CLIP_FILE = asset_path("clip_tiny.safetensors")


@pytest.fixture
def backbone():
    return ClipBackbone(**TINY)


def test_none_loads_nothing(backbone):
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    meta = load_checkpoint(backbone, "none")["meta"]
    assert meta == {"dataset_meta": {}}
    assert all(torch.equal(before[name], new) for name, new in backbone.state_dict().items())


def test_safetensors_load_through_mmengine():
    checkpoint = load_from_local(str(CLIP_FILE), "cpu")
    assert checkpoint["state_dict"].keys() == read_state_dict(CLIP_FILE).keys()


def test_a_file_that_is_called_like_none_is_a_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"none_of_these.pth: no such checkpoint.*word none"):
        load_checkpoint(nn.Linear(1, 1), str(tmp_path / "none_of_these.pth"))


def test_plain_torch_files_load_as_before(tmp_path):
    layer = nn.Linear(2, 3)
    torch.save({"state_dict": layer.state_dict(), "meta": {"epoch": 1}}, tmp_path / "a.pth")
    other = nn.Linear(2, 3)
    assert load_checkpoint(other, str(tmp_path / "a.pth"))["meta"] == {"epoch": 1}
    assert torch.equal(other.weight, layer.weight)


class Evil:
    def __reduce__(self):
        return eval, ("1 + 1",)


def test_a_pickle_with_code_is_refused(tmp_path):
    torch.save({"state_dict": {"weight": Evil()}}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"evil.pth.*refused.*builtin__.eval.*sandbox"):
        load_checkpoint(nn.Linear(1, 1), str(tmp_path / "evil.pth"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"<html>log in</html>"])
def test_damaged_files_are_named(tmp_path, content):
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="bad.pth"):
        load_checkpoint(nn.Linear(1, 1), str(tmp_path / "bad.pth"))


def test_a_plain_clip_file_gets_the_names_of_the_backbone(backbone):
    state = read_state_dict(CLIP_FILE)
    rename_clip(state, backbone.clip, "clip.")
    assert state.keys() == backbone.state_dict().keys()


def test_another_file_is_left_alone(backbone):
    state = {"decode_head.weight": torch.ones(1)}
    rename_clip(state, backbone.clip, "clip.")
    assert list(state) == ["decode_head.weight"]


def test_a_backbone_comes_whole_or_not_at_all(backbone):
    whole = backbone.state_dict()
    backbone.load_state_dict(whole)
    name = "clip.model.visual.proj"
    for broken, words in [
        ({k: v for k, v in whole.items() if k != name}, f"1 missing: {name}"),
        (whole | {"clip.other": torch.ones(1)}, "1 left over: clip.other"),
        (whole | {name: torch.ones(3, 3)}, f"1 of another shape: {name}"),
    ]:
        with pytest.raises(CheckpointError, match=words):
            load_state(backbone, broken)


def load_state(module, state):
    """As mmengine does it: nothing is strict."""
    from mmengine.runner.checkpoint import load_state_dict

    load_state_dict(module, state)


def test_parts_that_a_checkpoint_lacks_stay():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    require_whole(model["a"])
    require_whole(model["b"])
    wanted = torch.full((2, 2), 7.0)
    load_state(model, {"a.weight": wanted, "a.bias": torch.zeros(2)})
    assert torch.equal(model["a"].weight, wanted)
    with pytest.raises(CheckpointError, match=r"checkpoint, a: .*1 missing: bias"):
        load_state(model, {"a.weight": wanted})


def test_names_of_no_part_are_refused():
    refuse_left_over({"a.weight": torch.ones(1)}, ["a"], "")
    with pytest.raises(CheckpointError, match="2 left over: ab.weight, c"):
        refuse_left_over({"ab.weight": torch.ones(1), "c": torch.ones(1)}, ["a"], "")


def test_the_hash_follows_the_weights(backbone):
    before = backbone.clip.weights_hash
    load_state(backbone, backbone.state_dict())
    assert backbone.clip.weights_hash == before
    changed = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    changed["clip.model.text_projection"] += 1
    load_state(backbone, changed)
    after = backbone.clip.weights_hash
    assert after != before
    assert len(after) == 64
