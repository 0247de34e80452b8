"""Results side by side, each with the published figure: `ovseg table`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ovseg.errors import ConfigError, InputError
from ovseg.evaluation.published import published

__all__ = ["COLUMNS", "csv_text", "markdown", "read_result", "table_rows", "write_table"]

COLUMNS = (
    "configuration",
    "data",
    "mIoU",
    "published",
    "difference",
    "aAcc",
    "mAcc",
    "zero-IoU classes",
    "images",
    "vocabulary",
    "weights",
)
"""Columns of the table; figures in percent, hashes by their first digits."""

_NEEDED = ("config", "name", "mIoU", "aAcc", "mAcc", "images", "classes_counted")


def read_result(path: str | Path) -> dict[str, Any]:
    """Read a `result.json`.

    Raises:
        InputError: it is not there, no JSON, or not the result of a test.
    """
    try:
        result = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read ({error})", where=path, expected="a result.json of 'ovseg test'"
        ) from error
    missing = [key for key in _NEEDED if not isinstance(result, dict) or key not in result]
    if missing:
        raise InputError(
            f"no {', '.join(missing)} in it", where=path, expected="a result.json of 'ovseg test'"
        )
    return result


def table_rows(results: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Turn results into rows, with the published figure of the same configuration.

    A partial result is never set against a published figure: it is called partial instead.

    Args:
        results: contents of `result.json`.

    Returns:
        A mapping from `COLUMNS` to text a result.
    """
    return [_row(result) for result in results]


def _row(result: Mapping[str, Any]) -> dict[str, str]:
    name = Path(result["config"] or "").stem
    figure = None if result.get("partial") else published().get(name)
    difference = "" if figure is None else f"{result['mIoU'] - figure.miou:+.1f}"
    words = result.get("vocabulary") or {}
    values = (
        name,
        result["name"],
        f"{result['mIoU']:.2f}",
        "" if figure is None else f"{figure.miou:.1f}",
        difference,
        f"{result['aAcc']:.2f}",
        f"{result['mAcc']:.2f}",
        f"{result.get('zero_iou_rate', 0):.1f} % of {result['classes_counted']}",
        str(result["images"]),
        f"{words.get('name', '')} {result.get('vocabulary_hash') or ''}".strip(),
        str(result.get("weights_hash") or ""),
    )
    return dict(zip(COLUMNS, values, strict=True))


def markdown(rows: Sequence[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> str:
    r"""Write rows as a table in Markdown.

    Example:
        >>> print(markdown([{"a": "1", "b": "x|y"}], ("a", "b")))
        | a | b |
        |---|---|
        | 1 | x\|y |
    """
    lines = [columns, ["---"] * len(columns)]
    lines += [[row[column].replace("|", "\\|") for column in columns] for row in rows]
    text = ["| " + " | ".join(cells) + " |" for cells in lines]
    text[1] = text[1].replace(" ", "")
    return "\n".join(text)


def csv_text(rows: Sequence[Mapping[str, str]]) -> str:
    """Write rows as CSV, with a line of column names."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def write_table(path: str | Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write rows to a `.md` or `.csv` file.

    Raises:
        ConfigError: another ending.
        InputError: the place cannot be written.
    """
    from ovseg.utils.files import write_atomic

    suffix = Path(path).suffix.lower()
    if suffix not in (".md", ".csv"):
        raise ConfigError(f"unknown ending {suffix!r}", where=path, expected=".md or .csv")
    text = markdown(rows) + "\n" if suffix == ".md" else csv_text(rows)
    return write_atomic(path, text.encode())
