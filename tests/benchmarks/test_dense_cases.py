import torch

from benchmarks.dense_cases import _naive, _ours
from ovseg.models.clip import build_clip


def test_both_ways_give_the_same_content(tiny_clip_files):
    clip = build_clip(*tiny_clip_files)
    with torch.inference_mode():
        backbone_tokens = clip.run_backbone(torch.rand(1, 3, 32, 40))
        ours, naive = _ours(clip.tower, backbone_tokens), _naive(clip.tower, backbone_tokens)
    unit = torch.nn.functional.normalize(naive, dim=-1)
    torch.testing.assert_close(ours.flatten(2).mT, unit)
