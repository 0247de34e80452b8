"""Write docs/benchmarks.md: for each configuration the published figure and what was measured.

    ovseg test configs/maskclip/maskclip_vit_b16_original_voc20.py --work-dir run
    cp run/result.json docs/results/maskclip_vit_b16_original_voc20.json
    python tools/report_benchmarks.py

Only whole results that lie in docs/results/ count as measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ovseg.datasets import BENCHMARKS
from ovseg.evaluation.published import published
from ovseg.evaluation.table import markdown, read_result
from ovseg.utils.files import write_atomic

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "docs" / "results"
NOT_RUN = "not yet run with the true weights"
COLUMNS = ("configuration", "measured mIoU", "published mIoU", "source of the published figure")

INTRODUCTION = """# Benchmarks

This page is written by `python tools/report_benchmarks.py` from the configurations, from
`ovseg/evaluation/published.csv` and from the results in `docs/results/`. No figure stands here
that nobody measured: "{not_run}" means what it says.

    ovseg prepare voc20 --root data
    ovseg test configs/maskclip/maskclip_vit_b16_original_voc20.py --work-dir run
    ovseg table run/result.json

`result.json` holds the figures, the integer areas behind them and every setting that moves them:
windows, sizes, templates, temperature, thresholds, precision, the vocabulary with the first 12 hex
digits of its SHA-256, the hash of the weights, versions. A result over other images than the
benchmark's is called partial.

`mIoU` is mmseg's: the mean over the classes in prediction or label. `mIoU_labeled_classes` is the
form of newer detectron2, over labeled classes only; with hundreds of classes it is points higher,
so the two must not be compared.
"""


def configurations() -> dict[str, list[str]]:
    """Names of the configurations that measure a benchmark, by method."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "configs").glob("*/*.py")):
        if any(path.stem.endswith(f"_{name}") for name in BENCHMARKS):
            found.setdefault(path.parent.name, []).append(path.stem)
    return found


def measured(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Whole results by configuration."""
    results = [read_result(path) for path in sorted(folder.glob("*.json"))]
    return {Path(r["config"]).stem: r for r in results if not r.get("partial")}


def page(results: Path = RESULTS) -> str:
    """Return the text of docs/benchmarks.md."""
    return INTRODUCTION.format(not_run=NOT_RUN) + "".join(_sections(measured(results)))


def _sections(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    known = set()
    for method, names in configurations().items():
        known.update(names)
        yield f"\n## {method}\n\n{markdown([_row(n, results.get(n)) for n in names], COLUMNS)}\n"
    others = [figure for name, figure in published().items() if name not in known]
    if others:
        rows = [
            {"row": f.config, "published mIoU": f"{f.miou:.1f}", "source": f.source} for f in others
        ]
        yield "\n## Published, without a configuration so far\n\n"
        yield markdown(rows, ("row", "published mIoU", "source")) + "\n"


def _row(name: str, result: Mapping[str, Any] | None) -> dict[str, str]:
    figure = published().get(name)
    value = NOT_RUN
    if result is not None:
        hashes = f"vocabulary {result['vocabulary_hash']}, weights {result['weights_hash']}"
        value = f"{result['mIoU']:.2f} ({hashes})"
    source = "" if figure is None else "; ".join(filter(None, (figure.source, figure.note)))
    cells = (name, value, "" if figure is None else f"{figure.miou:.1f}", source)
    return dict(zip(COLUMNS, cells, strict=True))


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print(f"wrote {write_atomic(PAGE, page().encode())}")


if __name__ == "__main__":
    main()
