"""The losses of a training as numbers and as an image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from mmengine.dist import all_reduce_dict, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ovseg.utils.files import write_atomic

__all__ = ["CURVES", "LOG", "TrainingLogHook", "draw_curves"]

LOG, CURVES = "log.jsonl", "curves.png"

_SCORES = ("mIoU", "mAcc", "aAcc")


@HOOKS.register_module()
class TrainingLogHook(Hook):
    """Writes `log.jsonl`, a line an iteration, and at the end `curves.png`.

    A line has `step` (iterations done), the losses (their means over all processes), `lr`, and
    after a validation its figures. A resumed training cuts off the lines of iterations that it runs
    again, so that the file tells of one unbroken training.

    Args:
        interval: iterations between two lines.
    """

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Cut off what will be run again."""
        self._path = Path(runner.work_dir) / LOG
        if is_main_process():
            kept = ""
            if runner.iter and self._path.is_file():
                rows = [row for row in _read(self._path) if row["step"] <= runner.iter]
                kept = "".join(json.dumps(row) + "\n" for row in rows)
            write_atomic(self._path, kept.encode())

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Write the losses of an iteration."""
        if (runner.iter + 1) % self.interval and runner.iter + 1 != runner.max_iters:
            return
        losses = {name: value.detach().clone().float() for name, value in (outputs or {}).items()}
        all_reduce_dict(losses, op="mean")
        rates = runner.optim_wrapper.get_lr()
        rate = max(value for values in rates.values() for value in values)
        self._append({"step": runner.iter + 1, **_numbers(losses), "lr": rate})

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Write the figures of a validation."""
        if metrics and hasattr(self, "_path"):
            self._append({"step": runner.iter, **_numbers(metrics)})

    def after_train(self, runner: Runner) -> None:
        """Draw the curves."""
        if is_main_process() and self._path.is_file():
            path = draw_curves(_read(self._path), self._path.with_name(CURVES))
            if path is not None:
                runner.logger.info(f"Curves: {path}")

    def _append(self, row: Mapping[str, float]) -> None:
        if is_main_process():
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def draw_curves(rows: Sequence[Mapping[str, float]], path: Path) -> Path | None:
    """Draw the losses, and beside them the scores of validations where there are any.

    Args:
        rows: lines of `log.jsonl`.
        path: the PNG.

    Returns:
        The path, or None where there is nothing to draw.
    """
    losses = sorted({name for row in rows for name in row if "loss" in name})
    scores = [name for name in _SCORES if any(name in row for row in rows)]
    panels = [("loss", losses), ("per cent", scores)] if scores else [("loss", losses)]
    if not losses:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(panels), 3.5), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (unit, names) in zip(axes, panels, strict=True):
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            axis.plot(*zip(*points, strict=True), label=name, linewidth=1, marker=_marker(points))
        axis.set(xlabel="iteration", ylabel=unit)
        axis.legend(frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return write_atomic(path, buffer.getvalue())


def _marker(points: Sequence[tuple[float, float]]) -> str:
    return "." if len(points) < 40 else ""


def _read(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
