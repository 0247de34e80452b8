import pytest
import torch
from torch.nn.functional import normalize

from ovseg.errors import ConfigError
from ovseg.heads import MaskClip
from ovseg.heads.maskclip import key_smooth, prompt_denoise
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import CosineScores, DenseScores
from ovseg.inference.windows import slide
from ovseg.models.clip import build_clip

MODES = [
    {},
    {"score_type": "probs", "temperature": 30.0},
    {"attention_mode": "csa"},
    {"prompt_denoising": 0.3},
    {"key_smoothing": 1.0},
]


@pytest.fixture(scope="module")
def clip(tiny_clip_files):
    return build_clip(*tiny_clip_files)


@pytest.fixture(scope="module")
def text(clip):
    torch.manual_seed(1)
    return normalize(torch.randn(5, clip.embed_dim), dim=1)


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("batch", [1, 4])
@torch.inference_mode()
def test_an_image_is_scored_window_by_window(clip, text, options, batch):
    torch.manual_seed(0)
    head, image = MaskClip(**options), torch.rand(3, 40, 70)
    grid = slide((40, 70), (32, 32), (24, 24))
    found = head(HeadInput(clip, image, text, grid, batch))
    assert found.shape == (4 * len(grid.tops), 4 * len(grid.lefts))
    assert found.patch == clip.patch_size
    expected = []
    for top, left, bottom, right in grid.boxes():
        backbone_tokens = clip.run_backbone(image[None, :, top:bottom, left:right])
        expected.append(head.patch_scores(clip, backbone_tokens, text))
    joined = DenseScores.from_windows(torch.cat(expected), grid).values
    torch.testing.assert_close(found.chunk(0, 5), joined, atol=1e-5, rtol=1e-4)


def test_only_plain_cosines_are_lazy(clip, text):
    image, grid = torch.rand(3, 32, 32), slide((32, 32), (32, 32), (32, 32))
    inputs = HeadInput(clip, image, text, grid)
    with torch.inference_mode():
        assert isinstance(MaskClip(score_type="probs")(inputs), CosineScores)
        assert isinstance(MaskClip(prompt_denoising=0.5)(inputs), DenseScores)


def test_denoising_drops_the_queries_nobody_is_sure_of():
    scores = torch.tensor([0.30, 0.25, 0.10]).view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    scores[0, 2, 0, 0] = 0.9
    dropped = prompt_denoise(scores, 0.5)
    assert torch.equal(dropped[:, [0, 2]], scores[:, [0, 2]])
    assert (dropped[:, 1] == -100).all()


def test_when_all_queries_fall_the_result_is_uniform():
    assert (prompt_denoise(torch.zeros(1, 4, 2, 2), 0.5) == -100).all()


@pytest.mark.parametrize("norm", ["positions", "channels"])
def test_smoothing_is_the_product_with_the_keys_similarity(norm):
    torch.manual_seed(0)
    scores, keys = 0.02 * torch.randn(2, 3, 4, 5), torch.randn(2, 20, 6)
    probs = (100 * scores).softmax(1).flatten(2)
    unit = normalize(keys, dim=1 if norm == "positions" else 2)
    smooth = probs @ (unit @ unit.transpose(1, 2))
    threshold = float(probs.amax(1).median())
    unsure = probs.amax(1, keepdim=True) < threshold
    expected = torch.where(unsure, smooth, probs).view_as(scores)
    torch.testing.assert_close(key_smooth(scores, keys, threshold, norm), expected)


def test_smoothed_scores_have_their_own_temperature():
    assert MaskClip(temperature=40.0).decode_temperature == 40.0
    assert MaskClip(temperature=40.0, key_smoothing=1.0).decode_temperature == 1.0


@pytest.mark.parametrize(
    "options",
    [
        {"attention_mode": "keys"},
        {"score_type": "cosine"},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"prompt_denoising": 1.1},
        {"key_smoothing": float("nan")},
        {"ks_norm": "both"},
    ],
)
def test_settings_out_of_range(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        MaskClip(**options)
