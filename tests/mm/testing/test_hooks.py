"""Words are encoded by one process and read by the others."""

from types import SimpleNamespace

import torch

from ovseg.mm.plain import to_dict
from ovseg.mm.testing import hooks
from ovseg.pipeline import build_pipeline
from ovseg.prompts.vocabulary import Vocabulary


def test_other_processes_read_the_text_bank_of_the_first(config, monkeypatch, tmp_path):
    spec = {key: value for key, value in to_dict(config.model).items() if key != "vocabulary"}
    first, other = (build_pipeline(spec, cache_dir=tmp_path) for _ in range(2))
    vocabulary = Vocabulary.parse("sky, sea")
    prompts = {first: count_prompts(first, monkeypatch), other: count_prompts(other, monkeypatch)}
    expected = {}

    def wait_for_the_first():
        expected["text"] = first.text_embeddings(vocabulary)

    monkeypatch.setattr(hooks, "is_main_process", lambda: False)
    monkeypatch.setattr(hooks, "barrier", wait_for_the_first)
    model = SimpleNamespace(pipeline=other, vocabulary=vocabulary)
    hooks.WordsOnceHook().before_test(SimpleNamespace(model=model))
    assert torch.equal(other.text_embeddings(vocabulary), expected["text"])
    # One prompt more than the words: by its vector the cache tells text encoders apart.
    assert sum(prompts[first]) == 1 + len(vocabulary.prompts)
    assert sum(prompts[other]) == 1


def count_prompts(pipeline, monkeypatch):
    seen, encode = [], pipeline.clip.encode_text

    def counted(tokens):
        seen.append(len(tokens))
        return encode(tokens)

    monkeypatch.setattr(pipeline.clip, "encode_text", counted)
    return seen
