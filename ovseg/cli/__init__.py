"""The command `ovseg`: one module a verb, one table of verbs, one place that turns errors to words.

A verb's module has the constants `HELP` (one line) and `EXAMPLE`, and the functions
`add_arguments(parser)` and `run(args) -> int`; `PLUGINS = True` gives it the option `--plugin`. Its
top level imports only the standard library and light modules such as `ovseg.errors`, so that
`ovseg --help` stays instant. Only the verb that was named gets its options.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from ovseg import __version__
from ovseg.errors import ConfigError, OvsegError, PromptError

__all__ = ["VERBS", "main"]

VERBS = {
    "segment": "ovseg.cli.segment",
    "models": "ovseg.cli.models",
    "check": "ovseg.cli.check",
    "demo": "ovseg.cli.demo",
    "scenes": "ovseg.cli.scenes",
    "test": "ovseg.cli.test",
    "table": "ovseg.cli.table",
    "train": "ovseg.cli.train",
    "prepare": "ovseg.cli.prepare",
    "convert-weights": "ovseg.cli.convert_weights",
}

DONE, FAILED, USAGE, PARTLY, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143

_EPILOG = "run 'ovseg VERB --help' for the options and an example of each verb"


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint about an unknown option names the closest ones."""

    def parse_known_verb(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse everything, refusing what is left over with suggestions."""
        args, rest = self.parse_known_args(argv)
        if rest:
            options = args.parser_options
            close = [get_close_matches(word.split("=")[0], options, n=1) for word in rest]
            hint = ", ".join(match[0] for match in close if match)
            args.complain(
                f"unrecognized arguments: {' '.join(rest)}"
                + (f" (did you mean {hint}?)" if hint else "")
            )
        return args

    def error(self, message: str) -> NoReturn:
        """Print the message and where to read more, exit with status 2."""
        self.exit(USAGE, f"ovseg: error: {message}\nsee '{self.prog} --help'\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the words after `ovseg`; by default those of the process.

    Returns:
        0 done, 1 failed, 2 usage or configuration, 3 some items failed while the rest is done,
        130 interrupted (Ctrl-C), 143 ended by SIGTERM.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parse(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    return _guarded(args)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="ovseg",
        description="Open-vocabulary segmentation: images and words in, label maps out.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ovseg {__version__}")
    first = argv[0] if argv else "--help"
    if not first.startswith("-") and first not in VERBS:
        parser.error(_unknown_verb(first))
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in (first,) if first in VERBS else VERBS:
        module = import_module(VERBS[name])
        verb = verbs.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in argv:
            _add_options(verb, module)
    return parser.parse_known_verb(argv)


def _add_options(verb: argparse.ArgumentParser, module: ModuleType) -> None:
    """Give the parser of a verb its options: its own, and those that many verbs have."""
    module.add_arguments(verb)
    if getattr(module, "PLUGINS", False):
        verb.add_argument(
            "--plugin",
            action="append",
            default=[],
            metavar="MODULE",
            help="import a module of your own with heads, refiners or models; may be given again",
        )
    verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verb.set_defaults(
        run=module.run, complain=verb.error, parser_options=list(verb._option_string_actions)
    )


def _unknown_verb(word: str) -> str:
    close = get_close_matches(word, VERBS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"unknown verb {word!r}; {hint}verbs: {', '.join(VERBS)}"


def _guarded(args: argparse.Namespace) -> int:
    """Run a verb; every way it can end becomes an exit status, and a sentence if it went wrong."""
    try:
        with _sigterm_raises(), _plain_warnings():
            status = args.run(args)
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        print("ovseg: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:
        return int(stop.code or 0)
    except BrokenPipeError:  # the reader of our output went away, as in `ovseg models | head -1`
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return _report(error, debug=args.debug)


def _report(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if isinstance(error, OvsegError):
        print(f"ovseg: error: {error}", file=sys.stderr)
        return USAGE if isinstance(error, (ConfigError, PromptError)) else FAILED
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        print(f"ovseg: error: {where}{error.strerror}", file=sys.stderr)
        return FAILED
    print(
        f"ovseg: unexpected error: {type(error).__name__}: {error}\n"
        "This is a fault of ovseg: run again with --debug and report the traceback together with "
        "the output of 'ovseg check'.",
        file=sys.stderr,
    )
    return FAILED


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that temporary files go and the summary is written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show each warning once, as a sentence, without the line of code that gave it."""
    shown = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            print(f"ovseg: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
