"""Measure how long the stages take and how much memory they need.

    python -m benchmarks                          all sections
    python -m benchmarks decode text --threads 2  some of them
    python -m benchmarks --quick                  tiny sizes: does everything work?

Every case runs in a process of its own (not with --quick), so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    from benchmarks.sections import SECTIONS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)} (all)"
    )
    parser.add_argument("-m", "--model", default="maskclip-tiny", help="model (maskclip-tiny)")
    parser.add_argument("--repeats", type=int, default=3, help="the shortest time counts (3)")
    parser.add_argument("--threads", type=int, help="threads of torch (its own choice)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    args = parser.parse_args(argv)
    unknown = [name for name in args.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    return args


def environment() -> dict[str, object]:
    """Return what the numbers depend on."""
    import torch

    from ovseg import __version__

    return {
        "ovseg": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def line(row: dict) -> str:
    """Return a row of the table."""
    known = ("section", "case", "seconds", "peak_mb")
    about = ", ".join(f"{k} {v}" for k, v in row.items() if k not in known)
    seconds = f"{row['seconds']:.4f}" if "seconds" in row else "-"
    peak = f"{row['peak_mb']:.0f}" if "peak_mb" in row else "-"
    return f"{row['section']:12}{row['case']:32}{seconds:>10}{peak:>10}  {about}".rstrip()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections, print a table, write JSON."""
    args = parse(argv)
    if args.threads:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)
    from benchmarks.sections import SECTIONS, Plan
    from ovseg.utils.files import write_atomic

    plan = Plan(args.model, args.repeats, args.quick)
    rows = []
    print(f"{'section':12}{'case':32}{'seconds':>10}{'peak MB':>10}")
    for name in args.sections or SECTIONS:
        for row in SECTIONS[name](plan):
            rows.append(row)
            print(line(row), flush=True)
    if args.json:
        report = {"environment": environment(), "rows": rows}
        write_atomic(args.json, json.dumps(report, indent=1).encode())
    return int(any("failed" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
