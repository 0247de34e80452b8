import pytest
import torch

from ovseg.errors import ConfigError
from ovseg.inference.head_input import HeadInput
from ovseg.proposals.sam import SamProposer

SAM = {"model": "asset:sam_tiny", "pretrained": None}
ANYTHING = {"pred_iou_thresh": -9.0, "stability_score_thresh": -9.0}


def test_masks_are_hard_and_the_largest_come_first():
    torch.manual_seed(0)
    proposer = SamProposer(SAM, points_per_side=3, most=4, options=ANYTHING)
    image = torch.rand(3, 30, 44)
    found = proposer.propose(HeadInput(None, image, torch.zeros(1, 4), None))
    assert found.hard
    assert 1 <= len(found.prob) <= 4
    assert found.prob.shape[1:] == (30, 44)
    assert found.class_logits is None
    areas = found.prob.sum((1, 2)).tolist()
    assert areas == sorted(areas, reverse=True)
    assert min(areas) >= 0.001 * 30 * 44
    assert len(found.quality) == len(found.prob)


def test_settings_that_the_generator_does_not_know_are_refused():
    with pytest.raises(ConfigError, match="segment_anything"):
        SamProposer(SAM, options={"points": 3})
