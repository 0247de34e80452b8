from __future__ import annotations

import pytest
import torch

from ovseg.errors import CheckpointError
from ovseg.weights.rename import to_open_clip, unwrap

ONE = torch.ones(1)


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, [1], ONE])
def test_nothing_inside(content: object) -> None:
    with pytest.raises(CheckpointError, match="no tensors"):
        unwrap(content)


def test_a_prefix_comes_off_only_when_all_keys_carry_it() -> None:
    assert unwrap({"module.a": ONE, "b": ONE}).keys() == {"module.a", "b"}
    assert unwrap({"_orig_mod.a": ONE}).keys() == {"a"}
    assert unwrap({"_orig_mod.module.a": ONE}).keys() == {"a"}
    assert unwrap({"module._orig_mod.a": ONE}).keys() == {"a"}


@pytest.mark.parametrize("odd", [{0: ONE}, {"w": ONE.to_sparse()}, {"w": ONE.to("meta")}])
def test_what_is_no_name_with_a_dense_tensor_is_refused(odd: dict) -> None:
    with pytest.raises(CheckpointError, match="no plain tensors: "):
        unwrap({"a": ONE} | odd)


def test_public_names_of_eva() -> None:
    inner = "visual.blocks.3."
    state = {
        f"{inner}attn.q_bias": ONE,
        f"{inner}attn.inner_attn_ln.weight": ONE,
        f"{inner}attn.rope.freqs_cos": ONE,
        f"{inner}mlp.w1.weight": ONE,
        f"{inner}mlp.w3.bias": ONE,
        "visual.rope.freqs_sin": ONE,
        "visual.cls_token": ONE,
        "text.transformer.resblocks.0.mlp.w1.weight": ONE,
    }
    ours = "visual.trunk.blocks.3."
    assert to_open_clip(state, set()).keys() == {
        f"{ours}attn.q_proj.bias",
        f"{ours}attn.norm.weight",
        f"{ours}mlp.fc1_g.weight",
        f"{ours}mlp.fc2.bias",
        "visual.trunk.cls_token",
        "text.transformer.resblocks.0.mlp.w1.weight",
    }


def test_plain_clip_for_a_model_with_its_text_tower_apart() -> None:
    state = {"positional_embedding": ONE, "visual.conv1.weight": ONE, "ln_final.bias": ONE}
    wanted = {"text.positional_embedding"}
    assert to_open_clip(state, wanted).keys() == {
        "text.positional_embedding",
        "visual.conv1.weight",
        "text.ln_final.bias",
    }
    assert to_open_clip(state, set()).keys() == state.keys()


def test_a_scale_of_one_entry_becomes_a_scalar() -> None:
    assert to_open_clip({"logit_scale": ONE}, set())["logit_scale"].shape == ()
