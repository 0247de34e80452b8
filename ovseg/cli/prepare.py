"""`ovseg prepare`: check a benchmark's files and convert what needs converting."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovseg.datasets.table import Benchmark

__all__ = ["EXAMPLE", "HELP", "add_arguments", "run"]

HELP: str = "check a benchmark's files and convert its label maps"
EXAMPLE: str = "ovseg prepare voc20 --root data --check"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument(
        "name",
        metavar="NAME",
        help="ade20k, ade847, cityscapes, coco_object, coco_stuff164k, context59, context60, "
        "context459, voc20 or voc21",
    )
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="the folder that holds the data sets (default: the variable OVSEG_DATA, else data)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="only read: print the histogram of label ids, ids out of range, missing files, other "
        "sizes, and what looks like another numbering",
    )
    parser.add_argument(
        "--train", action="store_true", help="convert the training labels and lists too"
    )
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="accept images without label maps and the reverse",
    )


def run(args: argparse.Namespace) -> int:
    """Prepare or check, and say what there is.

    Returns:
        0, or 1 if `--check` finds something wrong.

    Raises:
        ConfigError: no such data set.
        DatasetError: the files are not there, cannot be converted or do not match.
    """
    from ovseg.datasets import find_benchmark

    benchmark = find_benchmark(args.name)
    data = Path(args.root or os.environ.get("OVSEG_DATA") or "data")
    if args.check:
        return _check_label_maps(benchmark, data / benchmark.root)

    from ovseg.datasets.prepare import prepare

    result = prepare(benchmark, data, train=args.train, allow_missing=args.allow_missing)
    print("\n".join(result.lines()))
    return 0


def _check_label_maps(benchmark: Benchmark, root: Path) -> int:
    from ovseg.datasets.check import check
    from ovseg.datasets.pairs import missing_root
    from ovseg.utils.progress import Progress

    if not root.is_dir():
        raise missing_root(benchmark, root)
    with Progress(benchmark.expected[0], unit="label map") as bar:
        findings = check(benchmark, root, bar.step)
    print("\n".join(findings.lines()))
    return 0 if findings.is_right else 1
