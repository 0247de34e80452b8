"""The frame: help, unknown words, exit status, signals."""

import os
import signal
import threading

import pytest

import ovseg
from ovseg.cli import VERBS, main
from ovseg.errors import CheckpointError, ConfigError, InputError, PromptError


@pytest.fixture
def verb(monkeypatch):
    """Let `ovseg models` do something else."""

    def arrange(action):
        monkeypatch.setattr("ovseg.cli.models.run", lambda args: action())

    return arrange


def fail(error):
    raise error


def test_help_lists_every_verb(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in VERBS:
        assert f"\n    {name}" in text


@pytest.mark.parametrize("name", VERBS)
def test_help_of_every_verb_shows_an_example(capsys, name):
    assert main([name, "--help"]) == 0
    assert f"example:\n  ovseg {name}" in capsys.readouterr().out


def test_only_the_verb_that_was_named_gets_its_options(capsys, monkeypatch):
    for name, module in VERBS.items():
        if name != "models":
            monkeypatch.setattr(f"{module}.add_arguments", None)
    assert main(["models", "--help"]) == main(["--help"]) == 0
    assert "--json" in capsys.readouterr().out
    assert main(["--jsn", "models"]) == 2
    assert "did you mean --json?" in capsys.readouterr().err


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ovseg {ovseg.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "required: VERB"),
        (["segmnet", "a.jpg"], "did you mean segment"),
        (["100%s"], "unknown verb '100%s'"),
        (["models", "--jsn"], "did you mean --json?"),
        (["scenes", "out"], "required: --count"),
        (["check", "more"], "unrecognized arguments: more"),
    ],
)
def test_usage_errors(capsys, argv, words):
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ConfigError("wrong", where="here"), 2, "ovseg: error: here: wrong\n"),
        (PromptError("wrong"), 2, "ovseg: error: wrong\n"),
        (InputError("wrong", fix="mend it"), 1, "ovseg: error: wrong; to fix: mend it\n"),
        (CheckpointError("wrong"), 1, "ovseg: error: wrong\n"),
        (FileNotFoundError(2, "No such file", "a"), 1, "ovseg: error: a: No such file\n"),
        (ZeroDivisionError("oh"), 1, "ovseg: unexpected error: ZeroDivisionError: oh\n"),
        (KeyboardInterrupt(), 130, "ovseg: interrupted\n"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_every_end_has_its_status(capfd, verb, error, status, words):
    verb(lambda: fail(error))
    assert main(["models"]) == status
    captured = capfd.readouterr().err
    assert captured.startswith(words)
    assert "Traceback" not in captured


def test_debug_adds_the_traceback(capsys, verb):
    verb(lambda: fail(ConfigError("wrong")))
    assert main(["models", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_sigterm_unwinds_and_the_handler_is_put_back(verb):
    before = signal.getsignal(signal.SIGTERM)
    tidied = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            tidied.append(True)

    verb(work)
    assert main(["models"]) == 143
    assert tidied == [True]
    assert signal.getsignal(signal.SIGTERM) is before


def test_runs_outside_the_main_thread(capsys):
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(main(["models"])))
    thread.start()
    thread.join()
    assert statuses == [0]
