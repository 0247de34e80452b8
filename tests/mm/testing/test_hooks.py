"""Words are encoded by one process and read by the others."""

from types import SimpleNamespace

import pytest
import torch

from ovseg.mm.plain import plain
from ovseg.mm.testing import hooks
from ovseg.pipeline import build_pipeline
from ovseg.vocabulary import Vocabulary


def test_other_processes_read_the_text_bank_of_the_first(config, monkeypatch, tmp_path):
    spec = {key: value for key, value in plain(config.model).items() if key != "vocabulary"}
    first, other = (build_pipeline(spec, cache_dir=tmp_path) for _ in range(2))
    words = Vocabulary.parse("sky, sea")
    expected = {}

    def wait_for_the_first():
        expected["text"] = first.text(words)

    monkeypatch.setattr(hooks, "is_main_process", lambda: False)
    monkeypatch.setattr(hooks, "barrier", wait_for_the_first)
    monkeypatch.setattr(other.clip, "encode_text", lambda _: pytest.fail("encoded again"))
    model = SimpleNamespace(pipeline=other, vocabulary=words)
    hooks.WordsOnceHook().before_test(SimpleNamespace(model=model))
    assert torch.equal(other.text(words), expected["text"])
