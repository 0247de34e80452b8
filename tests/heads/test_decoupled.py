from __future__ import annotations

import pytest
import torch

from ovseg.errors import ConfigError
from ovseg.heads.decoupled import MODES, content, decoupled
from ovseg.models.clip import build_clip
from ovseg.models.last_block import SELF_PARTS, join_heads


@pytest.fixture(scope="module")
def clip(tiny_clip_files):
    return build_clip(*tiny_clip_files)


@pytest.fixture
def trunk(clip):
    images = torch.rand(2, 3, 40, 24, generator=torch.Generator().manual_seed(2))
    return clip.run_backbone(images)


@pytest.mark.parametrize("mode", SELF_PARTS)
def test_one_pass_gives_what_the_read_out_and_the_projections_give(clip, trunk, mode):
    found = decoupled(clip.tower, trunk, mode, "none")
    torch.testing.assert_close(found.content, content(clip.tower, trunk, mode, "none"))
    expected = [join_heads(clip.tower.heads_of(trunk, part)) for part in SELF_PARTS[mode]]
    torch.testing.assert_close(found.context, tuple(expected))


@pytest.mark.parametrize("mode", MODES)
def test_patches_of_a_plain_transformer_have_unit_length(clip, trunk, mode):
    lengths = content(clip.tower, trunk, mode).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(2, *trunk.grid))


def test_gradients_reach_content_and_context_by_the_projections_in_use_only(clip, trunk):
    found = decoupled(clip.tower, trunk, "qq")
    found.content.sum().backward(retain_graph=True)
    rows = clip.model.visual.transformer.resblocks[-1].attn.in_proj_weight
    assert [bool(part.any()) for part in rows.grad.chunk(3)] == [True, False, True]
    clip.zero_grad()
    found.context[0].sum().backward()
    assert [bool(part.any()) for part in rows.grad.chunk(3)] == [True, False, False]
    assert clip.model.visual.conv1.weight.grad.any()


@pytest.mark.parametrize(("mode", "message"), [("vanilla", "without context"), ("q", "unknown")])
def test_modes_without_context(clip, trunk, mode, message):
    with pytest.raises(ConfigError, match=message):
        decoupled(clip.tower, trunk, mode)


def test_unknown_names(clip, trunk):
    with pytest.raises(ConfigError, match="maskclip, vanilla"):
        content(clip.tower, trunk, "value")
    with pytest.raises(ConfigError, match="sqrt_d or none"):
        decoupled(clip.tower, trunk, "csa", "sqrt")
