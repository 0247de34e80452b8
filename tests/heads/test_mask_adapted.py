import numpy as np
import pytest
import torch
from torch import nn

from ovseg.errors import CheckpointError, ConfigError, InputError
from ovseg.heads import MaskAdaptedClip
from ovseg.inference.decode import decode
from ovseg.inference.head_input import HeadInput
from ovseg.inference.tiles import DecodeOptions
from ovseg.inference.windows import slide, whole
from ovseg.masks.mask_prompts import new_prompts, region_side
from ovseg.masks.proposer import MaskProposals, Proposer
from ovseg.models.clip import build_clip
from ovseg.pipeline import build_pipeline
from ovseg.prompts.vocabulary import Vocabulary

GIVEN = {"type": "PrecomputedMaskProposer"}
SIZE = (24, 40)


@pytest.fixture(scope="module")
def clip(tiny_clip_files):
    return build_clip(*tiny_clip_files)


@pytest.fixture(scope="module")
def text(clip):
    words = clip.encode_text(clip.tokenize(["cat", "dog", "sky"]))
    return nn.functional.normalize(words.detach(), dim=1)


@pytest.fixture
def image():
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))


class Fixed(Proposer):
    def __init__(self, proposals):
        super().__init__()
        self.proposals = proposals

    def propose(self, request):
        return self.proposals


def head_with(proposals, **options):
    head = MaskAdaptedClip(GIVEN, **{"prompts": False, **options})
    head.source = Fixed(proposals)
    return head


def blocks(*columns):
    """Hard masks of columns of the image."""
    masks = torch.zeros(len(columns), *SIZE, dtype=torch.bool)
    for mask, (left, right) in zip(masks, columns, strict=True):
        mask[:, left:right] = True
    return masks


def soft(*columns):
    return blocks(*columns) * 0.6 + 0.2


@torch.no_grad()
def painted(head, clip, image, text, **options):
    return head(HeadInput(clip, image, text, whole(SIZE), **options)).chunk(0, len(text))


def test_regions_that_repeat_or_are_empty_are_not_encoded(clip, image, text, monkeypatch):
    seen = []
    tower_conv = clip.tower.visual.conv1.forward
    monkeypatch.setattr(
        clip.tower.visual.conv1, "forward", lambda x: seen.append(len(x)) or tower_conv(x)
    )
    masks = blocks((0, 9), (0, 9), (3, 3), (9, 30), (0, 9), (30, 40))
    scores = head_with(MaskProposals(masks)).mask_scores(
        clip, image, MaskProposals(masks), text, batch=2
    )
    assert seen == [2, 1]
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[4])
    assert not scores[2].any()


def test_one_region_scores_as_in_company(clip, image, text):
    masks = blocks((0, 9), (9, 30))
    head = head_with(None)
    alone = head.mask_scores(clip, image, MaskProposals(masks[1:]), text)
    both = head.mask_scores(clip, image, MaskProposals(masks), text)
    torch.testing.assert_close(alone, both[1:])
    torch.testing.assert_close(both.sum(1), torch.ones(2))


def test_without_a_valid_region_the_source_decides(clip, image, text):
    logits = torch.tensor([[3.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 5.0]])
    proposals = MaskProposals(soft((0, 9), (9, 40)) * 0.4, logits)
    expected = logits.softmax(1)[:, :3] ** 0.25
    found = head_with(None, weight=0.75).mask_scores(clip, image, proposals, text)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("logits", [None, torch.zeros(2, 4)])
def test_clip_alone_leaves_invalid_masks_out(clip, image, text, logits):
    proposals = MaskProposals(soft((0, 9), (9, 40)) * torch.tensor([1, 0.4]).view(2, 1, 1), logits)
    found = head_with(None, weight=0.0).mask_scores(clip, image, proposals, text)
    torch.testing.assert_close(found.sum(1), torch.tensor([1.0, 0.0]))


def test_no_proposal_at_all_gives_finite_scores(clip, image, text):
    empty = MaskProposals(torch.zeros(0, *SIZE, dtype=torch.bool))
    assert not painted(head_with(empty), clip, image, text).any()
    assert (
        painted(head_with(empty, uncovered="rest"), clip, image, text)
        .sum(0)
        .allclose(torch.ones(SIZE))
    )


def test_without_ensemble_the_source_decides_and_must_know_the_words(clip, image, text):
    logits = torch.tensor([[3.0, 1.0, 0.0, 0.0]])
    head = head_with(None, ensemble=False)
    found = head.mask_scores(clip, image, MaskProposals(soft((0, 9)), logits), text)
    torch.testing.assert_close(found, logits.softmax(1)[:, :3])
    with pytest.raises(ConfigError, match="masks without classes"):
        head.mask_scores(clip, image, MaskProposals(soft((0, 9))), text)


def test_quality_weighs_masks_that_know_no_words(clip, image, text):
    masks, head = blocks((0, 9)), head_with(None)
    plain = head.mask_scores(clip, image, MaskProposals(masks), text)
    halved = MaskProposals(masks, quality=torch.tensor([0.5]))
    torch.testing.assert_close(head.mask_scores(clip, image, halved, text), plain * 0.5)


def test_masks_add_up_where_they_overlap(clip, image, text):
    proposals = MaskProposals(soft((0, 20), (10, 40)))
    head = head_with(proposals)
    scores = head.mask_scores(clip, image, proposals, text)
    expected = torch.einsum("qc,qhw->chw", scores, proposals.prob)
    torch.testing.assert_close(painted(head, clip, image, text), expected)


def test_what_no_mask_covers_is_background_where_there_is_one(clip, image, text):
    vocabulary = Vocabulary.from_names(["background", "dog", "sky"])
    head = head_with(MaskProposals(blocks((0, 9))))
    found = painted(head, clip, image, text, vocabulary=vocabulary)
    assert (found[0, :, 9:] == 1).all()
    assert (found[:, :, :9].sum(0) - 1).abs().max() < 1e-5


def test_the_demo_rule_paints_the_best_mask_of_every_word_hard(clip, image, text):
    proposals = MaskProposals(soft((0, 9), (9, 20), (20, 40), (0, 3)))
    head = head_with(proposals, rule="best", weight=0.0)
    scores = head.mask_scores(clip, image, proposals, text)
    chosen = scores.argmax(0).unique()
    hard = proposals.prob > 0.4
    expected = torch.einsum("qc,qhw->chw", scores[chosen], hard[chosen].float())
    torch.testing.assert_close(painted(head, clip, image, text), expected)


def test_synonyms_share_the_mask_of_their_class(clip, image, text):
    proposals = MaskProposals(soft((0, 9), (9, 20), (20, 40)))
    head = head_with(proposals, rule="best", weight=0.0)
    vocabulary = Vocabulary.parse("sky; heaven; air")
    assert head.extra_prompts(vocabulary) == ("others",)
    found = painted(head, clip, image, text, vocabulary=vocabulary)
    assert [bool(found[:, :, column].any()) for column in (0, 9, 20)].count(True) == 1


def test_one_class_alone(tiny_clip_files):
    config, weights = tiny_clip_files
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    for rule, weight in (("sum", 0.7), ("best", 0.0)):
        spec = {
            "backbone": {"type": "ClipBackbone", "model": str(config), "pretrained": str(weights)},
            "decode_head": {
                "type": "MaskAdaptedClipHead",
                "proposer": {"type": "PrecomputedMaskProposer"},
                "prompts": False,
                "rule": rule,
                "weight": weight,
            },
            "templates": "photo",
            "test_cfg": {"short_side": 48},
        }
        pipeline = build_pipeline(spec, cache_dir=None)
        pipeline.head.source.set_masks(blocks((0, 9), (9, 20)).numpy())
        found = pipeline(image, "dog")
        assert not found.labels.any()
        assert np.isfinite(found.scores).all()
        assert not found.scores[:, 22:].any()
        assert (found.scores < 0.999).all() == (rule == "best")


def test_labels_are_those_of_whole_maps(clip, text, image):
    generator = torch.Generator().manual_seed(1)
    proposals = MaskProposals(
        torch.rand(7, *SIZE, generator=generator), torch.randn(7, 4, generator=generator)
    )
    head = head_with(proposals)
    out = (31, 33)
    with torch.no_grad():
        scores = head(HeadInput(clip, image, text, whole(SIZE)))
    maps = nn.functional.interpolate(
        scores.chunk(0, 3)[None], out, mode="bilinear", align_corners=False
    )[0]
    found = decode(scores, whole(out), out, DecodeOptions(score_type="probs", max_elements=200))
    assert (found.labels == maps.argmax(0).numpy()).mean() > 0.999
    assert np.allclose(found.scores, maps.amax(0).clamp(max=1).numpy(), atol=1e-6)


def test_prompts_take_part(clip, text, image):
    proposals = MaskProposals(blocks((0, 9), (9, 40)) & (torch.rand(SIZE) > 0.5))
    head = head_with(proposals)
    plain = painted(head, clip, image, text)
    head.mask_embedding = nn.Parameter(10 * new_prompts(clip.tower))
    proposals.prob[:, :8] = False
    proposals.prob[:, 3, 3] = True
    assert not torch.allclose(plain, painted(head, clip, image, text))
    assert region_side(clip.tower) == 32


def test_windows_are_refused(clip, image, text):
    with pytest.raises(ConfigError, match="sees an image whole"):
        head_with(None)(HeadInput(clip, image, text, slide(SIZE, (16, 16), (8, 8))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", 1.5),
        ("weight", float("nan")),
        ("mask_threshold", 1.0),
        ("rule", "demo"),
        ("uncovered", "ignore"),
        ("fill", "black"),
        ("expand", 0.0),
        ("expand", "x"),
        ("weight", "x"),
        ("temperature", 0.0),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        MaskAdaptedClip(GIVEN, **{name: value})


def test_prompts_that_are_on_but_nowhere_are_an_error(clip):
    with pytest.raises(CheckpointError, match="there is no prompt tensor"):
        MaskAdaptedClip(GIVEN).check(clip)
    proposals = MaskProposals(blocks((0, 9)))
    with pytest.raises(CheckpointError, match="there is no prompt tensor"):
        head_with(proposals, prompts=True).region_features(
            clip, torch.rand(3, *SIZE), proposals.prob
        )


@pytest.mark.parametrize("ensemble", [True, False])
def test_proposals_that_do_not_fit_are_refused(clip, image, text, ensemble):
    logits = torch.zeros(1, len(text) + 1)
    small = MaskProposals(torch.ones(1, 16, 20), logits)
    with pytest.raises(InputError, match=r"masks of 16 x 20 pixels"):
        head_with(small, ensemble=ensemble).mask_scores(clip, image, small, text)
    other = MaskProposals(torch.ones(1, *SIZE), logits[:, 1:])
    with pytest.raises(InputError, match="'no object'"):
        head_with(other, ensemble=ensemble).mask_scores(clip, image, other, text)


def test_a_small_factor_leaves_a_pixel(clip, image):
    dot = torch.zeros(1, *SIZE, dtype=torch.bool)
    dot[0, 3, 5] = True
    found = head_with(None, expand=0.5).region_features(clip, image, dot)
    torch.testing.assert_close(found, head_with(None).region_features(clip, image, dot))
