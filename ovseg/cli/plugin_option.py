"""The option `--plugin`, which several verbs have."""

from __future__ import annotations

import argparse

__all__ = ["add_plugin_option"]


def add_plugin_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Declare the option; the verb imports what it names, with `ovseg.plugins.import_plugins`."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module of your own with heads, refiners or models; may be given again",
    )
