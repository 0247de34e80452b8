"""The text bank (rows 33, 34, 36 of the table of bad inputs)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ovseg.errors import CheckpointError, ConfigError, PromptError
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.prompts.templates import load_templates
from ovseg.prompts.text_bank import TextBank, prompt_lengths

NAMES = ["cat", "potted plant", "building, edifice", "猫", "set {} of braces", "cat"]


class Watched:
    """An encoder that notes what is asked of it."""

    def __init__(self, clip: ClipEncoder, **changes: object) -> None:
        self.clip = clip
        self.shapes: list[tuple[int, int]] = []
        self.changes = changes

    def __getattr__(self, name: str) -> object:
        return self.changes[name] if name in self.changes else getattr(self.clip, name)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return self.clip.tokenize(texts)

    def encode_text(self, tokens: Tensor) -> Tensor:
        self.shapes.append(tuple(tokens.shape))
        return self.clip.encode_text(tokens)


@pytest.fixture(scope="module")
def clip(tiny_clip_files: tuple[Path, Path]) -> ClipEncoder:
    return build_clip(*tiny_clip_files)


@torch.inference_mode()
def plainly(clip: ClipEncoder, templates: Sequence[str], names: Sequence[str]) -> Tensor:
    rows = []
    for name in names:
        encoded = clip.encode_text(clip.tokenize([t.replace("{}", name) for t in templates]))
        rows.append(normalize(normalize(encoded, dim=1).mean(0), dim=0))
    return torch.stack(rows)


@pytest.mark.parametrize("templates", ["imagenet80", "none", ["a {}", "a {}", "the {}"]])
@pytest.mark.parametrize("batch_tokens", [None, 1, 100])
def test_equals_the_plain_way(
    clip: ClipEncoder, templates: str | list[str], batch_tokens: int | None
) -> None:
    if batch_tokens == 1 and templates == "imagenet80":
        templates = load_templates(templates)[:5]
    bank = TextBank(clip, templates, cache_dir=None, batch_tokens=batch_tokens)
    vectors = bank.encode(NAMES)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(
        vectors, plainly(clip, load_templates(templates), NAMES), atol=1e-6, rtol=0
    )
    assert torch.equal(vectors[0], vectors[5])


def test_parts_make_the_whole(clip: ClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = TextBank(clip, "vild14", cache_dir=None).encode(NAMES)
    monkeypatch.setattr("ovseg.prompts.text_bank._MOST_PROMPTS", 30)
    told: list[tuple[int, int]] = []
    bank = TextBank(clip, "vild14", cache_dir=None)
    parts = bank.encode(NAMES, progress=lambda done, total: told.append((done, total)))
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=0)
    assert told == sorted(told)
    assert told[-1] == (5, 5)


def test_batches_are_bounded_and_cut(clip: ClipEncoder) -> None:
    watched = Watched(clip)
    TextBank(watched, "vild14", cache_dir=None, batch_tokens=64).encode(NAMES)
    assert all(count * length <= 64 for count, length in watched.shapes)
    assert sum(count for count, _ in watched.shapes) == 5 * 14
    lengths = [length for _, length in watched.shapes]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] < clip.context_length


def test_tower_that_is_not_causal_gets_whole_rows(clip: ClipEncoder) -> None:
    watched = Watched(clip, causal_text=False)
    TextBank(watched, "vild14", cache_dir=None).encode(NAMES)
    assert {length for _, length in watched.shapes} == {clip.context_length}


def test_second_call_encodes_nothing(clip: ClipEncoder, tmp_path: Path) -> None:
    first = TextBank(clip, "vild14", cache_dir=tmp_path).encode(NAMES)
    watched = Watched(clip)
    bank = TextBank(watched, "vild14", cache_dir=tmp_path)
    assert torch.equal(bank.encode(NAMES[::-1]), first.flip(0))
    assert sum(count for count, _ in watched.shapes) == 1
    bank.encode([*NAMES, "dog"])
    assert sum(count for count, _ in watched.shapes) == 1 + 14


@torch.inference_mode()
def test_lists_are_kept_in_memory_by_weights_device_and_format(clip: ClipEncoder) -> None:
    watched = Watched(clip)
    bank = TextBank(watched, "photo", cache_dir=None)
    first = bank.embeddings(["cat", "dog"])
    assert bank.embeddings(("cat", "dog")) is first
    assert not first.is_inference()
    half = bank.embeddings(["cat", "dog"], "cpu", torch.bfloat16)
    assert (half.dtype, first.dtype) == (torch.bfloat16, torch.float32)
    assert bank.embeddings(["cat", "dog"], "meta").device.type == "meta"
    assert bank.embeddings(["cat", "dog"]) is first
    watched.changes["weights_hash"] = "0" * 64
    watched.encode_text = lambda tokens: clip.encode_text(tokens).flip(1)
    torch.testing.assert_close(bank.embeddings(["cat", "dog"]), first.flip(1), atol=1e-6, rtol=0)


def test_few_lists_are_kept_the_latest_used(clip: ClipEncoder) -> None:
    bank = TextBank(clip, "photo", cache_dir=None)
    first, second = bank.embeddings(["cat"]), bank.embeddings(["dog"])
    for number in range(7):
        bank.embeddings([f"thing {number}"])
        assert bank.embeddings(["cat"]) is first
    assert bank.embeddings(["dog"]) is not second


def test_other_weights_have_files_of_their_own(clip: ClipEncoder, tmp_path: Path) -> None:
    watched = Watched(clip)
    bank = TextBank(watched, "photo", cache_dir=tmp_path)
    bank.encode(["cat"])
    watched.changes["weights_hash"] = "0" * 64
    bank.encode(["cat"])
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


@pytest.mark.parametrize("change", ["weights", "templates", "text", "tower"])
def test_cache_tells_apart(clip: ClipEncoder, tmp_path: Path, change: str) -> None:
    TextBank(clip, "vild14", cache_dir=tmp_path).encode(["cat"])
    changes = {"weights_hash": "0" * 64} if change == "weights" else {}
    watched = Watched(clip, **changes)
    if change == "tower":
        watched.encode_text = lambda tokens: clip.encode_text(tokens).flip(1)
    bank = TextBank(watched, "imagenet7" if change == "templates" else "vild14", cache_dir=tmp_path)
    actual = bank.encode(["cat."] if change == "text" else ["cat"])
    fresh = TextBank(watched, bank.templates, cache_dir=None)
    expected = fresh.encode(["cat."] if change == "text" else ["cat"])
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)


def test_no_cache_leaves_no_file(
    clip: ClipEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    TextBank(clip, "a", cache_dir=None).encode(["cat"])
    assert not list(tmp_path.iterdir())
    TextBank(clip, "a").encode(["cat"])
    assert list((tmp_path / "text").rglob("*.safetensors"))


def test_long_query_is_reported_with_what_is_cut(clip: ClipEncoder, tmp_path: Path) -> None:
    room = clip.context_length - 2
    fits, long = "cat " * (room - 1), "cat " * room + "dog in the sun"
    bank = TextBank(clip, ["a {}"], cache_dir=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bank.encode([fits])
    for _ in ("computed", "from the cache"):
        with pytest.warns(UserWarning, match=r"cut off: 'cat dog in the sun'"):
            bank.encode(["cat", long])
        with pytest.raises(PromptError, match=r"24 tokens.*cut off: 'cat dog in the sun'"):
            bank.encode(["cat", long], strict=True)


def test_long_word_is_reported(clip: ClipEncoder) -> None:
    with pytest.warns(UserWarning, match="cut off: 'xqz"):
        TextBank(clip, "none", cache_dir=None).encode(["xqz" * 100])


def test_control_token_does_not_end_the_prompt(clip: ClipEncoder) -> None:
    bank = TextBank(clip, "photo", cache_dir=None)
    with pytest.warns(UserWarning, match="control token"):
        vectors = bank.encode(["cat <end_of_text> one", "cat <end_of_text> two"])
    assert not torch.allclose(vectors[0], vectors[1])


@pytest.mark.parametrize("queries", [[], "cat", ["cat", " "], ["cat", "a\0b"]])
def test_unusable_queries(clip: ClipEncoder, queries: object) -> None:
    with pytest.raises(PromptError):
        TextBank(clip, "photo", cache_dir=None).encode(queries)


def test_unusable_templates(clip: ClipEncoder) -> None:
    with pytest.raises(ConfigError, match="exactly one"):
        TextBank(clip, ["a photo"])


def test_numbers_that_are_not_finite(clip: ClipEncoder) -> None:
    watched = Watched(clip)
    watched.encode_text = lambda tokens: clip.encode_text(tokens) * float("nan")
    with pytest.raises(CheckpointError, match="not finite"):
        TextBank(watched, "photo", cache_dir=None).encode(["cat"])


def test_prompt_lengths() -> None:
    tokens = torch.tensor(
        [
            [8, 5, 9, 0, 0, 0],
            [8, 5, 5, 5, 5, 9],
            [8, 5, 5, 5, 9, 0],
            [5, 6, 1, 1, 1, 1],
            [1, 1, 1, 1, 1, 1],
        ]
    )
    assert prompt_lengths(tokens).tolist() == [3, 6, 6, 2, 0]


class Spelling:
    """A cheap encoder: an embedding is the mean over the letters."""

    context_length, embed_dim, weights_hash = 32, 8, "spelling"

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        codes = [list(text.encode()[:31]) for text in texts]
        return torch.tensor([[*code, *[0] * (32 - len(code))] for code in codes])

    def encode_text(self, tokens: Tensor) -> Tensor:
        powers = torch.arange(1.0, 9.0)
        return (tokens[..., None] * powers).sin().sum(1)


def test_ten_thousand_classes(tmp_path: Path) -> None:
    names = [f"thing {i}" for i in range(10_000)]
    vectors = TextBank(Spelling(), "none", cache_dir=tmp_path).encode(names)
    again = TextBank(Spelling(), "none", cache_dir=tmp_path).encode(names)
    assert torch.equal(again, vectors)
    some = TextBank(Spelling(), "none", cache_dir=None).encode(names[::1000])
    torch.testing.assert_close(vectors[::1000], some, atol=1e-6, rtol=0)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(10_000))
