import pytest
import torch

from ovseg.errors import CheckpointError, InputError
from ovseg.masks.mask_prompts import check_prompts, class_features, new_prompts, region_side
from ovseg.models.clip import build_clip


@pytest.fixture(scope="module")
def clip(tiny_clip_files):
    return build_clip(*tiny_clip_files)


@pytest.fixture(scope="module")
def tower(clip):
    return clip.tower


def regions(tower, count=3):
    side = region_side(tower)
    keep = torch.ones(count, tower.native_grid[0] ** 2, dtype=torch.bool)
    keep[:, ::2] = False
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0)), keep


def test_without_prompts_it_is_the_plain_tower(clip, tower):
    images, _ = regions(tower)
    expected = tower.visual(images)
    torch.testing.assert_close(class_features(tower, images), expected)


def test_what_lies_under_a_prompt_changes_nothing(tower):
    images, keep = regions(tower)
    prompts = new_prompts(tower, len(tower.visual.transformer.resblocks))
    keep[:, 0] = False
    changed = images.clone()
    changed[:, :, : tower.patch_size, : tower.patch_size] = 9
    first, second = (class_features(tower, x, keep, prompts[:1]) for x in (images, changed))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, class_features(tower, images, keep, prompts))


def test_gradients_reach_every_depth_and_only_blank_positions(tower):
    images, keep = regions(tower)
    keep[:, :5] = True
    prompts = new_prompts(tower, 3).requires_grad_()
    class_features(tower, images, keep, prompts).square().sum().backward()
    moved = prompts.grad.abs().sum(2) > 0
    assert torch.equal(moved, (~keep[0]).expand(3, -1))


def test_a_region_alone_equals_the_same_in_a_batch(tower):
    images, keep = regions(tower)
    prompts = new_prompts(tower)
    batch = class_features(tower, images, keep, prompts)
    torch.testing.assert_close(class_features(tower, images[1:2], keep[1:2], prompts), batch[1:2])


@pytest.mark.parametrize("shape", [(3, 4, 32), (3, 16, 8), (9, 16, 32), (16, 32)])
def test_prompts_of_another_shape_are_refused(tower, shape):
    with pytest.raises(CheckpointError, match="mask prompts of shape"):
        check_prompts(torch.zeros(shape), tower)


def test_absent_prompts_are_an_error(tower):
    with pytest.raises(CheckpointError, match="there is no prompt tensor"):
        check_prompts(None, tower, "weights.pt")


def test_regions_and_flags_of_another_size_are_refused(tower):
    images, keep = regions(tower)
    with pytest.raises(InputError, match="regions of shape"):
        class_features(tower, images[..., :-8])
    with pytest.raises(InputError, match="patch flags of shape None"):
        class_features(tower, images, None, new_prompts(tower))
    with pytest.raises(InputError, match="patch flags"):
        class_features(tower, images, keep[:, :-1], new_prompts(tower))
