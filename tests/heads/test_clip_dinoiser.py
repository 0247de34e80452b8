"""CLIP-DINOiser's head on the tiny CLIP: options, cleaning, weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from ovseg.errors import CheckpointError, ConfigError
from ovseg.heads import ClipDinoiser
from ovseg.heads.clip_dinoiser import HEAD_KEYS, is_head_file
from ovseg.inference.head_input import HeadInput
from ovseg.inference.windows import slide, whole
from ovseg.models.clip import build_clip
from ovseg.prompts.vocabulary import Vocabulary

DINO = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 3}
TOWERS = {
    "dino": {"model": DINO, "pretrained": None},
    "found": {"model": {**DINO, "patch_size": 4}, "pretrained": None},
}
CLASS_NAMES = Vocabulary.parse("cat, background: wall; floor, dog")
RELEASED = {
    "obj_proj.weight": (256, 768, 3, 3),
    "obj_proj.bias": (256,),
    "bkg_decoder.weight": (1, 768, 1, 1),
    "bkg_decoder.bias": (1,),
}


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return build_clip("asset:clip_tiny", "asset:clip_tiny")


@pytest.fixture(scope="module")
def text(clip):
    generator = torch.Generator().manual_seed(1)
    return functional.normalize(torch.randn(4, clip.embed_dim, generator=generator), dim=1)


def trained(clip, **options):
    torch.manual_seed(0)
    return ClipDinoiser(in_channels=clip.tower.width, channels=8, **options).eval()


def direct(clip, **options):
    torch.manual_seed(0)
    return ClipDinoiser("direct", **(TOWERS | options)).eval()


def final(clip, **options):
    torch.manual_seed(0)
    return ClipDinoiser(in_channels=clip.embed_dim, channels=8, feats_idx="final", **options).eval()


def scores(head, clip, images, text, vocabulary=None):
    backbone_tokens = clip.run_backbone(images, head.return_intermediates)
    return head.patch_scores(clip, backbone_tokens, text, vocabulary)


@pytest.mark.parametrize("make", [trained, direct, final])
@torch.inference_mode()
def test_an_image_is_scored_alike_alone_and_in_a_batch(clip, text, make):
    head, images = make(clip), torch.rand(3, 3, 40, 57)
    together = scores(head, clip, images, text, CLASS_NAMES)
    rows, columns = -(-40 // clip.patch_size), -(-57 // clip.patch_size)
    assert together.shape == (3, 4, rows, columns)
    for image, expected in zip(images, together, strict=True):
        alone = scores(head, clip, image[None], text, CLASS_NAMES)[0]
        torch.testing.assert_close(alone, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", [trained, direct])
@torch.inference_mode()
def test_windows_are_images_of_their_own(clip, text, make):
    head, image = make(clip, delta=1.0), torch.rand(3, 48, 64)
    grid = slide((48, 64), (32, 32), (16, 16))
    found = head(HeadInput(clip, image, text, grid, 4, CLASS_NAMES)).chunk(0, 4)
    crops = torch.stack([image[:, y:bottom, x:right] for y, x, bottom, right in grid.boxes()])
    expected = scores(head, clip, crops, text, CLASS_NAMES)
    side = expected.shape[2]
    torch.testing.assert_close(found[:, :side, :side], expected[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(found[:, -side:, -side:], expected[-1], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_clip_runs_once_a_batch_and_leaves_no_hooks(clip, text, monkeypatch):
    head, image, calls = trained(clip), torch.rand(3, 48, 48), []
    run = clip.tower.run_backbone
    monkeypatch.setattr(clip.tower, "run_backbone", lambda *args: calls.append(1) or run(*args))
    head(HeadInput(clip, image, text, slide((48, 48), (32, 32), (16, 16)), 2, CLASS_NAMES))
    assert len(calls) == 2
    assert not any(m._forward_hooks for m in [*clip.modules(), *head.modules()])


@torch.inference_mode()
def test_without_affinity_cut_every_patch_counts(clip, text):
    images = torch.rand(1, 3, 32, 32)
    alone = scores(trained(clip, gamma=1.0), clip, images, text)
    everything = scores(trained(clip, gamma=None), clip, images, text)
    assert not torch.allclose(alone, everything, atol=1e-3)


@torch.inference_mode()
def test_cleaning_gives_doubtful_patches_to_every_query_of_the_background(clip, text):
    images = torch.rand(1, 3, 32, 32)
    head = trained(clip, delta=1.0, temperature=1.0)
    head.bkg_decoder.bias.fill_(-100.0)
    cleaned = scores(head, clip, images, text, CLASS_NAMES)
    plain = scores(head, clip, images, text)
    assert torch.equal(cleaned[:, 1:3], torch.ones_like(cleaned[:, 1:3]))
    assert torch.equal(cleaned[:, [0, 3]], plain[:, [0, 3]])
    head.bkg_decoder.bias.fill_(100.0)
    assert torch.equal(scores(head, clip, images, text, CLASS_NAMES), plain)
    head.bkg_decoder.bias.fill_(-100.0)
    head.delta = 0.0
    assert torch.equal(scores(head, clip, images, text, CLASS_NAMES), plain)


@pytest.mark.parametrize(
    ("setting", "vocabulary", "cleans"),
    [
        ("auto", "voc21_clip_dinoiser", True),
        ("auto", "coco_object_clip_dinoiser", True),
        ("auto", "context60_clip_dinoiser", False),
        ("auto", "context60", False),
        ("auto", "context60_mmseg", False),
        (True, "context60", True),
        (False, "voc21", False),
        ("auto", "voc20", False),
        (True, "ade20k", False),
        ("auto", "cat, background", True),
        ("auto", "cat, dog", False),
    ],
)
def test_the_data_set_rule_of_cleaning(clip, setting, vocabulary, cleans):
    head = trained(clip, clean_background=setting)
    assert head.cleans_background(Vocabulary.parse(vocabulary)) is cleans
    assert head.cleans_background(None) is False


def test_the_name_of_a_file_decides_nothing(clip, tmp_path):
    file = tmp_path / "context60_mine.txt"
    file.write_text("cat\nbackground\n")
    assert trained(clip).cleans_background(Vocabulary.parse(str(file)))
    other_words = Vocabulary.builtin("context60").with_background("wall of a house")
    assert not trained(clip).cleans_background(other_words)


def test_direct_mode_without_found_cleans_nothing(clip):
    assert direct(clip, found=None).cleans_background(CLASS_NAMES) is False
    assert direct(clip).cleans_background(CLASS_NAMES) is True


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_released_checkpoint_is_read(tmp_path, wrap, prefix):
    state = {name: torch.randn(shape) for name, shape in RELEASED.items()}
    prefixed = {prefix + name: value for name, value in state.items()}
    content = {"epoch": 99, "model_state_dict": prefixed} if wrap else prefixed
    torch.save(content, tmp_path / "last.pt")
    head = ClipDinoiser(pretrained=tmp_path / "last.pt")
    assert sorted(head.state_dict()) == sorted(HEAD_KEYS)
    for name, value in head.state_dict().items():
        assert torch.equal(value, state[name])
    assert is_head_file(tmp_path / "last.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bkg_decoder.bias": None}, r"1 missing.*bkg_decoder\.bias 1.*exactly"),
        ({"clip_backbone.x": torch.ones(1)}, r"1 left over.*clip_backbone\.x"),
        ({"obj_proj.weight": torch.ones(256, 512, 3, 3)}, r"256x512x3x3, the model has 256x768"),
        ({"obj_proj.bias": torch.full((256,), torch.nan)}, "NaN or infinite"),
    ],
)
def test_checkpoints_that_do_not_fit_are_refused(tmp_path, change, message):
    state = {name: torch.zeros(shape) for name, shape in RELEASED.items()} | change
    state = {name: value for name, value in state.items() if value is not None}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=message):
        ClipDinoiser(pretrained=tmp_path / "a.safetensors")


def test_a_checkpoint_with_code_is_refused(tmp_path):
    torch.save({"model_state_dict": {}, "args": Path}, tmp_path / "code.pt")
    with pytest.raises(CheckpointError, match="refused"):
        ClipDinoiser(pretrained=tmp_path / "code.pt")
    with pytest.raises(CheckpointError, match="no such weights file"):
        ClipDinoiser(pretrained=str(tmp_path / "absent.pt"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "both"}, "decode_head.mode.*trained or direct"),
        ({"gamma": 2.0}, "decode_head.gamma.*from 0 to 1"),
        ({"delta": -0.1}, "decode_head.delta"),
        ({"feats_idx": "last"}, "decode_head.feats_idx"),
        ({"feats_type": "x"}, "decode_head.feats_type.*v, k, q"),
        ({"clean_background": "yes"}, "decode_head.clean_background"),
        ({"temperature": 0}, "temperature"),
        ({"mode": "direct"}, "asks DINO.*vit_base_patch16_224"),
        ({"dino": TOWERS["dino"]}, "no DINO"),
        ({"mode": "direct", "pretrained": "x.pt", **TOWERS}, "no convolutions"),
        (
            {"mode": "direct", "dino": TOWERS["dino"], "clean_background": True},
            "asks FOUND",
        ),
    ],
)
def test_wrong_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        ClipDinoiser(**options)


@torch.inference_mode()
def test_an_encoder_of_another_width_is_refused(clip, text):
    with pytest.raises(ConfigError, match="in_channels"):
        ClipDinoiser(in_channels=clip.tower.width + 1).check(clip)
    with pytest.raises(ConfigError, match=r"return_intermediates=\['ln_2@-3'\]"):
        trained(clip).patch_features(clip, clip.run_backbone(torch.rand(1, 3, 32, 32)))


@torch.inference_mode()
def test_a_dino_of_finer_patches_makes_finer_cells(clip, text):
    fine = {"model": {**DINO, "patch_size": 4}, "pretrained": None}
    head, image = direct(clip, dino=fine, delta=1.0), torch.rand(3, 32, 48)
    found = head(HeadInput(clip, image, text, whole((32, 48)), 1, CLASS_NAMES))
    assert found.patch == 4
    assert found.shape == (8, 12)
