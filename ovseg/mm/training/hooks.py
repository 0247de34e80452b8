"""What starts and stops a training, and what it tells of its images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ovseg.errors import RuntimeLimitError
from ovseg.utils.files import write_atomic

__all__ = ["FiniteLossHook", "SkippedImagesHook", "TeachersHook"]


@HOOKS.register_module()
class TeachersHook(Hook):
    """Builds a model's teachers before the first iteration: one that is not there stops it here."""

    def before_train(self, runner: Runner) -> None:
        """Call the model's `prepare_teachers`, where it has any.

        Raises:
            CheckpointError: weights of a teacher that cannot be had.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if hasattr(model, "prepare_teachers"):
            model.prepare_teachers(next(model.parameters()).device)


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops at a loss that is no number, before a checkpoint takes the weights that it made."""

    priority = "HIGH"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Look at the losses of an iteration.

        Raises:
            RuntimeLimitError: it names the iteration and the losses.
        """
        losses = {
            name: float(value.detach()) for name, value in (outputs or {}).items() if "loss" in name
        }
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            values = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
            raise RuntimeLimitError(
                f"{' and '.join(bad)} not finite ({values})",
                where=f"iteration {runner.iter + 1}",
                fix="a smaller learning rate, clip_grad, or no --amp; --resume goes on from the "
                "last checkpoint, which is intact",
            )


@HOOKS.register_module()
class SkippedImagesHook(Hook):
    """Counts the images that an `ImageFolderDataset` could not read and took others for.

    Each is said once in the log; `skipped.txt` in the work folder lists them all with reasons.
    """

    def __init__(self) -> None:
        self.skipped: dict[str, str] = {}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Take the notes of a batch."""
        samples = data_batch.get("data_samples", ()) if isinstance(data_batch, Mapping) else ()
        for sample in samples:
            for path, reason in getattr(sample, "skipped", {}).items():
                if path not in self.skipped:
                    self.skipped[path] = reason
                    runner.logger.warning(f"skipped: {reason}")

    def after_train(self, runner: Runner) -> None:
        """Say how many there were and write the list."""
        found: dict[str, str] = {}
        for part in all_gather_object(self.skipped):
            found.update(part)
        if found and is_main_process():
            text = "".join(f"{path}\t{found[path]}\n" for path in sorted(found))
            path = write_atomic(f"{runner.work_dir}/skipped.txt", text.encode())
            runner.logger.warning(
                f"{len(found)} images could not be read and were skipped; they are in {path}"
            )
