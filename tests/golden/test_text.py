"""The text bank against the references' class vectors."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.prompts.templates import load_templates
from ovseg.prompts.text_bank import TextBank
from ovseg.prompts.vocabulary import Vocabulary
from tests.golden.conftest import cases, load_npz

UNIT = {"atol": 1e-5, "rtol": 0.0}
RAW = {"atol": 1e-4, "rtol": 0.0}

DINOISER_SETS = {"imagenet80": "imagenet80", "laion2": "laion2", "single": "a"}


@cache
def encoder(config: Path) -> ClipEncoder:
    return build_clip(config, config.with_suffix(".safetensors"))


def check(clip: ClipEncoder, templates: object, names: list[str], expected: object) -> None:
    actual = TextBank(clip, templates, cache_dir=None).encode(names)
    torch.testing.assert_close(actual, torch.as_tensor(expected), **UNIT)


@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "text_maskclip*"))
def test_maskclip(path: Path) -> None:
    case, clip = load_npz(path), encoder(path.parent / "tiny_clip.json")
    names = case["class_names"].tolist()
    assert load_templates("maskclip85") == tuple(case["templates"].tolist())
    check(clip, "maskclip85", names, case["text"])
    check(clip, "photo", names, case["text_single"])


@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "text_maskclip*"))
@torch.inference_mode()
def test_maskclip_prompts(path: Path) -> None:
    case, clip = load_npz(path), encoder(path.parent / "tiny_clip.json")
    tokens = torch.from_numpy(case["tokens_class1"]).long()
    name = str(case["class_names"][1])
    prompts = [template.replace("{}", name) for template in load_templates("maskclip85")]
    assert torch.equal(clip.tokenize(prompts).long(), tokens)
    longest = int((tokens != 0).sum(1).max())
    encoded = clip.encode_text(tokens[:, :longest])
    torch.testing.assert_close(encoded, torch.from_numpy(case["per_template_class1"]), **RAW)


@pytest.mark.parametrize("path", cases("maskclip_dinoiser", "text_dinoiser*"))
def test_dinoiser(path: Path) -> None:
    case, clip = load_npz(path), encoder(path.parent / "tiny_clip.json")
    for arrays, ours in DINOISER_SETS.items():
        assert load_templates(ours) == tuple(case[f"templates_{arrays}"].tolist())
        check(clip, ours, case["class_names"].tolist(), case[f"text_{arrays}"])
    check(clip, "imagenet80", case["update_vocab_names"].tolist(), case["update_vocab_text"])


@pytest.mark.parametrize("path", cases("trident", "text*"))
def test_trident(path: Path) -> None:
    case, arrays = json.loads((path / "case.json").read_text()), load_npz(path / "stages.npz")
    clip = encoder(path.parent / "weights" / f"clip_{case['clip']}.json")
    for name, expected in case["lists"].items():
        vocabulary = Vocabulary.from_file(path / f"{name}.txt")
        assert list(vocabulary.prompts) == expected["words"]
        assert list(vocabulary.prompt_class) == expected["idx"] == arrays[f"{name}_idx"].tolist()
        check(clip, "imagenet80", list(vocabulary.prompts), arrays[f"{name}_features"])


@pytest.mark.parametrize("path", cases("trident", "text*"))
@torch.inference_mode()
def test_trident_prompts(path: Path) -> None:
    case, arrays = json.loads((path / "case.json").read_text()), load_npz(path / "stages.npz")
    clip = encoder(path.parent / "weights" / f"clip_{case['clip']}.json")
    first = next(iter(case["lists"].values()))["words"][0]
    prompts = [template.replace("{}", first) for template in load_templates("imagenet80")]
    tokens = clip.tokenize(prompts)
    assert torch.equal(tokens.long(), torch.from_numpy(arrays["first_tokens"]).long())
    torch.testing.assert_close(
        clip.encode_text(tokens), torch.from_numpy(arrays["first_raw"]), **RAW
    )
