"""Checkpoints that appear whole, replace older ones only then, and hold what was trained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from safetensors.torch import save
from torch import Tensor, nn

from ovseg.errors import ConfigError
from ovseg.mm.checkpoints import refuse_other_weights
from ovseg.mm.safe_load import read_runner_checkpoint
from ovseg.utils.files import write_atomic

__all__ = ["WEIGHTS", "SafeCheckpointHook", "WholeFileBackend"]

WEIGHTS = "weights.safetensors"
"""What the last state of a training is written to, beside the checkpoints."""


@register_backend("whole_file", force=True)
class WholeFileBackend(LocalBackend):
    """mmengine's backend for local files, writing a file whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            RuntimeLimitError: the disk is full; an older file of that name stays.
            InputError: the place cannot be written.
        """
        write_atomic(filepath, bytes(obj))


class _LateRemoval:
    """A file backend that removes files only when what replaces them is there."""

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self._waiting: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        """Note a file for removal."""
        self._waiting.append((path, os.stat(path).st_ino))

    def finish(self) -> None:
        """Remove the noted files, but not one that was written anew meanwhile."""
        for path, number in self._waiting:
            if os.path.exists(path) and os.stat(path).st_ino == number:
                self._backend.remove(path)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's `CheckpointHook` that never harms an older checkpoint.

    Files are written under a temporary name and renamed; what they replace is removed afterwards.
    Frozen towers, which the config names, are left out (the model's `frozen_parts`). At the end
    the trained weights are also written as `weights.safetensors`.

    Args:
        **options: as for `CheckpointHook`: `interval`, `by_epoch`, `max_keep_ckpts`, `save_best`.
    """

    file_backend: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(backend_args={"backend": "whole_file"}, **options)

    def before_train(self, runner: Runner) -> None:
        """Check that a checkpoint never falls between the steps of one optimizer update.

        Raises:
            ConfigError: it would.
        """
        steps = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
        if not self.by_epoch and self.interval > 0 and self.interval % steps:
            raise ConfigError(
                f"a checkpoint every {self.interval} iterations, and gradients of {steps} "
                "iterations are summed up: a resumed training would lose some",
                where="default_hooks.checkpoint.interval",
                expected=f"a multiple of {steps}",
            )
        super().before_train(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Leave out what was not trained and is named in the config."""
        for key in ("state_dict", "ema_state_dict"):
            for name in list(checkpoint.get(key, ())):
                if _is_frozen(name.removeprefix("module."), runner.model):
                    del checkpoint[key][name]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on from a checkpoint of another model; mmengine would only log it.

        Raises:
            CheckpointError: names are missing, left over or of another shape.
        """
        if not runner._resume:
            return
        own, given = (
            {name: value for name, value in state.items() if not _is_frozen(name, runner.model)}
            for state in (_unwrap(runner.model).state_dict(), checkpoint["state_dict"])
        )
        refuse_other_weights(own, given)

    @contextmanager
    def _late_removal(self) -> Iterator[None]:
        backend = self.file_backend
        self.file_backend = late = _LateRemoval(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        late.finish()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        with self._late_removal():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        with self._late_removal():
            super()._save_best_checkpoint(runner, metrics)

    def after_train(self, runner: Runner) -> None:
        """Write the trained weights of the last checkpoint as safetensors."""
        super().after_train(runner)
        if self.last_ckpt is not None:
            self._write_weights(runner)

    @master_only
    def _write_weights(self, runner: Runner) -> None:
        # Of the file, not of the model: a moving average has taken its place there.
        saved = read_runner_checkpoint(self.last_ckpt)["state_dict"]
        model = _unwrap(runner.model)
        state = model.release(saved) if hasattr(model, "release") else saved
        path = write_atomic(Path(runner.work_dir) / WEIGHTS, _safetensors(state))
        runner.logger.info(f"Trained weights: {path}")


def _safetensors(state: dict[str, Tensor]) -> bytes:
    return save({name: tensor.clone().contiguous() for name, tensor in state.items()})


def _is_frozen(name: str, model: nn.Module) -> bool:
    frozen = getattr(_unwrap(model), "frozen_parts", ())
    return name in frozen or name.startswith(tuple(f"{part}." for part in frozen))


def _unwrap(model: nn.Module) -> Any:
    return model.module if is_model_wrapper(model) else model
