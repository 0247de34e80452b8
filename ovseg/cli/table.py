"""`ovseg table`: results of tests side by side, with the published figures."""

from __future__ import annotations

import argparse

__all__ = ["EXAMPLE", "HELP", "add_arguments", "run"]

HELP: str = "set results of 'ovseg test' side by side, with the published figures"
EXAMPLE: str = "ovseg table work_dirs/*/result.json -o table.md -o table.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="result.json of a test")
    parser.add_argument(
        "-o",
        "--out",
        action="append",
        default=[],
        metavar="FILE",
        help="write the table there too: .md or .csv; may be given more than once",
    )


def run(args: argparse.Namespace) -> int:
    """Print the table and write it.

    Returns:
        0.

    Raises:
        InputError: a file is no result, or a place cannot be written.
        ConfigError: an unknown ending.
    """
    from ovseg.evaluation.table import markdown, read_result, table_rows, write_table

    rows = table_rows(read_result(path) for path in args.files)
    for path in args.out:
        write_table(path, rows)
    print(markdown(rows))
    return 0
