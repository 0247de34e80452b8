"""Measure every configuration in configs/scenes and write docs/scenes_benchmark.md.

    python tools/report_scenes.py                 all of them, 200 scenes each
    python tools/report_scenes.py maskclip_tiny   some of them; the others keep their figures
    python tools/report_scenes.py --page-only     only write the page again

Each measurement is what `ovseg test configs/scenes/NAME.py` does; its result is kept in
docs/results/scenes/NAME.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ovseg.evaluation.table import markdown, read_result, table_rows
from ovseg.utils.files import write_atomic

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs" / "scenes"
PAGE = ROOT / "docs" / "scenes_benchmark.md"
RESULTS = ROOT / "docs" / "results" / "scenes"
COLUMNS = ("configuration", "mIoU", "aAcc", "mAcc", "zero-IoU classes", "vocabulary", "weights")

INTRODUCTION = """# The drawn benchmark

200 scenes of the synthetic world (its split `test`, 224 x 224 px), all 40 classes of the vocabulary
`scenes`. Nothing has to be downloaded; one command a row:

    ovseg test configs/scenes/maskclip_tiny.py

This page is written by `python tools/report_scenes.py`, which measures every configuration in
`configs/scenes/`; the results with all settings are in `docs/results/scenes/`. The models know
drawn scenes only, so these figures compare methods with each other, not with those on photographs.
"""


def names() -> list[str]:
    """Names of the configurations."""
    return sorted(path.stem for path in CONFIGS.glob("*.py"))


def measure(name: str) -> None:
    """Run one configuration and keep its result."""
    from ovseg.mm.testing.run import evaluate

    config = CONFIGS / f"{name}.py"
    with tempfile.TemporaryDirectory() as folder:
        _, result = evaluate(config, work_dir=folder, device="cpu", precision="fp32")
    result["config"] = config.relative_to(ROOT).as_posix()
    text = json.dumps(result, indent=1, ensure_ascii=False)
    write_atomic(RESULTS / f"{name}.json", f"{text}\n".encode())


def page(results: Path = RESULTS) -> str:
    """Return the text of docs/scenes_benchmark.md."""
    done = [results / f"{name}.json" for name in names()]
    rows = table_rows(read_result(path) for path in done if path.is_file())
    missing = [path.stem for path in done if not path.is_file()]
    text = f"{INTRODUCTION}\n{markdown(rows, COLUMNS)}\n" if rows else INTRODUCTION
    if missing:
        text += f"\nNot measured yet: {', '.join(missing)}.\n"
    return text


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())} (all)")
    parser.add_argument("--page-only", action="store_true", help="measure nothing")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.names) - set(names()))
    if unknown:
        parser.error(f"unknown configuration {unknown[0]!r}; there are {', '.join(names())}")
    for name in () if args.page_only else args.names or names():
        measure(name)
    print(f"wrote {write_atomic(PAGE, page().encode())}")


if __name__ == "__main__":
    main()
