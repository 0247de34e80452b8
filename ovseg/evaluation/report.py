"""The result of a test as plain data (`result.json`) and as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ovseg.evaluation.scores import class_accuracy, class_iou
from ovseg.utils.files import write_atomic

__all__ = ["class_figures", "plain_json", "result_text", "write_result"]

_HEADLINE = ("mIoU", "aAcc", "mAcc", "mIoU_labeled_classes", "fwIoU", "zero_iou_rate")


def class_figures(areas: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Return the part of a result that is told by class.

    Args:
        areas: (3, K) int64 of `area_counts`.
        classes: (K) names.

    Returns:
        `classes` (K names), `per_class_iou` and `per_class_accuracy` (name to percent, None where
        undefined), and `areas`, the integers behind them (`intersection`, `prediction`, `label`).
    """
    return {
        "classes": list(classes),
        "per_class_iou": dict(zip(classes, _percent(class_iou(areas)), strict=True)),
        "per_class_accuracy": dict(zip(classes, _percent(class_accuracy(areas)), strict=True)),
        "areas": {
            name: [int(value) for value in row]
            for name, row in zip(("intersection", "prediction", "label"), areas, strict=True)
        },
    }


def _percent(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(100 * value) for value in values]


def plain_json(value: Any) -> Any:
    """Turn what a result holds into what JSON has: tuples, numpy numbers, paths, nan to null.

    Example:
        >>> plain_json({"a": (np.float32(0.5), float("nan")), 1: Path("x")})
        {'a': [0.5, None], '1': 'x'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_json(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain_json(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def write_result(folder: str | Path, result: Mapping[str, Any]) -> Path:
    """Write `result.json` and `result.txt`, each whole or not at all; return the former's path."""
    text = json.dumps(plain_json(result), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(Path(folder, "result.txt"), f"{result_text(result)}\n".encode())
    return write_atomic(Path(folder, "result.json"), f"{text}\n".encode())


def result_text(result: Mapping[str, Any]) -> str:
    """Return a table by class, and the figures over all of them."""
    width = max(len(name) for name in result["classes"])
    lines = [f"{'class':{width}}  {'IoU':>6}  {'Acc':>6}"]
    for name in result["classes"]:
        iou, accuracy = result["per_class_iou"][name], result["per_class_accuracy"][name]
        lines.append(f"{name:{width}}  {_cell(iou)}  {_cell(accuracy)}")
    lines += ["", result["name"], *_summary_lines(result)]
    return "\n".join(lines)


def _summary_lines(result: Mapping[str, Any]) -> list[str]:
    shown = [key for key in (*_HEADLINE, "boundary_mIoU") if key in result]
    lines = [", ".join(f"{key} {result[key]:.2f}" for key in shown)]
    images = f"{result['images']} images"
    if result.get("missing"):
        images += f" ({result['missing']} left out: a file is missing)"
    counted, total = result["classes_counted"], len(result["classes"])
    lines.append(f"{images}; {counted} of {total} classes counted (the others do not occur)")
    vocabulary = result.get("vocabulary") or {}
    lines.append(
        f"vocabulary {vocabulary.get('name')} ({result.get('vocabulary_hash')}), "
        f"weights {result.get('weights_hash')}"
    )
    return lines


def _cell(value: float | None) -> str:
    return f"{'-':>6}" if value is None else f"{value:6.2f}"
