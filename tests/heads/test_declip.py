import pytest
import torch
from torch.nn.functional import normalize

from ovseg.errors import ConfigError
from ovseg.heads import DeClip
from ovseg.heads.decoupled import MODES
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import DenseScores
from ovseg.inference.windows import slide
from ovseg.models.clip import build_clip
from ovseg.pipeline import build_pipeline


@pytest.fixture(scope="module")
def clip(tiny_clip_files):
    return build_clip(*tiny_clip_files, pad_mode="around")


@pytest.mark.parametrize("mode", MODES)
@torch.inference_mode()
def test_an_image_is_scored_window_by_window(clip, mode):
    torch.manual_seed(0)
    text, image = normalize(torch.randn(5, clip.embed_dim), dim=1), torch.rand(3, 40, 70)
    head, grid = DeClip(mode, attn_scale="none"), slide((40, 70), (32, 32), (24, 24))
    found = head(HeadInput(clip, image, text, grid, 4))
    expected = []
    for top, left, bottom, right in grid.boxes():
        backbone_tokens = clip.run_backbone(image[None, :, top:bottom, left:right])
        expected.append(head.patch_scores(clip, backbone_tokens, text))
    joined = DenseScores.from_windows(torch.cat(expected), grid).values
    torch.testing.assert_close(found.chunk(0, 5), joined, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(9, 20), (30, 100), (32, 33)])
def test_images_below_one_crop_are_padded_around(tiny_clip_files, size):
    model, pretrained = map(str, tiny_clip_files)
    spec = {
        "backbone": {
            "type": "ClipBackbone",
            "model": model,
            "pretrained": pretrained,
            "pad_mode": "around",
        },
        "decode_head": {"type": "DeClipHead"},
        "templates": "photo",
        "test_cfg": {
            "mode": "slide",
            "crop_size": 32,
            "stride": 16,
            "short_side": None,
            "cell_alignment": "around",
        },
    }
    pipeline = build_pipeline(spec, cache_dir=None)
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    found = pipeline.probabilities(image, "cat, dog", size)
    assert found.shape == (2, *size)
    torch.testing.assert_close(found.sum(0), torch.ones(size))
    del spec["test_cfg"]["cell_alignment"]
    with pytest.raises(ConfigError, match="around for both or for neither"):
        build_pipeline(spec, cache_dir=None)


@pytest.mark.parametrize(
    "options", [{"mode": "value"}, {"attn_scale": "sqrt"}, {"temperature": 0.0}]
)
def test_settings_out_of_range(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        DeClip(**options)
