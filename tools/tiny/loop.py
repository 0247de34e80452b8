"""A small resumable training loop for one machine: plain torch, safe files, exact resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ovseg.errors import ConfigError, RuntimeLimitError
from ovseg.weights.read import read_checkpoint

__all__ = ["Schedule", "fit", "rate_at"]

_STATE = "state.pt"
_LOG = "log.jsonl"


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: number of optimizer steps of the first round.
        rate: its peak learning rate.
        warmup: steps of linear warm-up; a cosine to zero follows.
        decay: weight decay of matrices (vectors have none).
        more: further rounds as (steps, peak rate), each a cosine to zero without warm-up.
        seed: of weights' initialization and batches.
        save_every: steps between saved states.
        check_every: steps between validations.
    """

    steps: int
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.05
    more: tuple[tuple[int, float], ...] = ()
    seed: int = 0
    save_every: int = 100
    check_every: int = 200

    @property
    def total(self) -> int:
        """Number of steps of all rounds."""
        return self.steps + sum(steps for steps, _ in self.more)


def rate_at(step: int, schedule: Schedule) -> float:
    """Learning rate of a step, 0-based.

    Example:
        >>> plan = Schedule(steps=110, rate=1.0, warmup=10)
        >>> [round(rate_at(step, plan), 2) for step in (0, 9, 10, 60, 109)]
        [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    first = (schedule.steps - schedule.warmup, schedule.rate)
    step -= schedule.warmup
    for steps, rate in (first, *schedule.more):
        if step < steps:
            return rate * (1 + math.cos(math.pi * step / steps)) / 2
        step -= steps
    return 0.0


class _Optimizer:
    """Muon for the matrices of transformer blocks, AdamW for everything else.

    At this size and length of training Muon needs far fewer steps than AdamW alone.

    Raises:
        ConfigError: torch is too old to have Muon.
    """

    def __init__(self, model: nn.Module, schedule: Schedule) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise ConfigError(
                f"torch {torch.__version__} has no Muon optimizer",
                expected="torch 2.9 or newer for training",
                fix="upgrade torch; inference works with older ones",
            )
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        inner = [p for name, p in trained if p.ndim == 2 and "blocks." in name]
        rest = [p for name, p in trained if not (p.ndim == 2 and "blocks." in name)]
        groups = [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": schedule.decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        adam = torch.optim.AdamW(groups, lr=schedule.rate, betas=(0.9, 0.98))
        muon = torch.optim.Muon(
            inner,
            lr=schedule.rate,
            weight_decay=schedule.decay,
            adjust_lr_fn="match_rms_adamw",
        )
        self.parts = (adam, muon)

    def step(self, rate: float) -> None:
        """Take a step at a learning rate."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """State of both parts."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Take back what `state_dict` gave."""
        for part, one in zip(self.parts, state, strict=True):
            part.load_state_dict(one)


def _save(folder: Path, model: nn.Module, optimizer: _Optimizer, step: int) -> None:
    scratch = folder / (_STATE + ".tmp")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, scratch)
    scratch.replace(folder / _STATE)


def _resume(folder: Path, model: nn.Module, optimizer: _Optimizer) -> int:
    path = folder / _STATE
    if not path.exists():
        return 0
    state = read_checkpoint(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _trim_log(folder: Path, step: int) -> None:
    """Drop the log lines of steps that will be run again."""
    path = folder / _LOG
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))


def _total(parts: dict[str, Tensor], step: int) -> Tensor:
    total = torch.stack(list(parts.values())).sum()
    if not torch.isfinite(total):
        values = {name: float(value.detach()) for name, value in parts.items()}
        raise RuntimeLimitError(f"the loss is not finite at step {step}: {values}")
    return total


def fit(
    model: nn.Module,
    batches: Callable[[np.random.Generator, int], Any],
    schedule: Schedule,
    folder: Path,
    *,
    device: str = "cpu",
    validate: Callable[[], dict[str, float]] | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """Train ``model`` in place; called again on the same folder it goes on where it stopped.

    Step t draws its batch from a generator seeded by (seed, t) alone, so that a resumed run sees
    what an unbroken one would have seen.

    Args:
        model: maps a batch to named loss parts, whose sum is minimized.
        batches: makes the batch of a step, 0-based, from a generator.
        schedule: see :class:`Schedule`.
        folder: holds ``state.pt`` (weights-only readable) and ``log.jsonl``.
        device: where batches go; the model is there already.
        validate: returns figures for the log every ``check_every`` steps.
        report: takes one line of progress at a time.

    Raises:
        CheckpointError: the saved state cannot be read.
        RuntimeLimitError: the loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = _Optimizer(model, schedule)
    first = _resume(folder, model, optimizer)
    _trim_log(folder, first)
    model.train()
    began = time.monotonic()
    for step, batch in _ahead(batches, schedule, first):
        batch = batch.to(device)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            parts = model(batch)
        optimizer.zero_grad()
        _total(parts, step).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(rate_at(step, schedule))
        done = step + 1
        row = {"step": done, **{name: round(float(v.detach()), 4) for name, v in parts.items()}}
        if validate is not None and _due(done, schedule.check_every, schedule.total):
            model.eval()
            row.update(validate())
            model.train()
        _log(folder, row)
        if _due(done, schedule.save_every, schedule.total):
            _save(folder, model, optimizer, done)
        if _due(done, 20, schedule.total):
            pace = (time.monotonic() - began) / (done - first)
            left = pace * (schedule.total - done) / 60
            report(f"{_line(row)}  {pace:.2f} s a step, {left:.0f} min left")


class _Batches(Dataset):
    """The batch of every step, made from (seed, step) alone."""

    def __init__(self, make: Callable[[np.random.Generator, int], Any], schedule: Schedule) -> None:
        self.make, self.schedule = make, schedule

    def __len__(self) -> int:
        return self.schedule.total

    def __getitem__(self, step: int) -> Any:
        return self.make(np.random.default_rng([self.schedule.seed, step]), step)


def _ahead(
    batches: Callable[[np.random.Generator, int], Any], schedule: Schedule, first: int
) -> Iterator[tuple[int, Any]]:
    """Steps with their batches, which another process makes ahead of their use."""
    steps = range(first, schedule.total)
    loader = DataLoader(_Batches(batches, schedule), None, sampler=steps, num_workers=1)
    return zip(steps, loader, strict=True)


def _due(done: int, every: int, steps: int) -> bool:
    return done % every == 0 or done == steps


def _log(folder: Path, row: dict[str, float]) -> None:
    with (folder / _LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _line(row: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:g}" for name, value in row.items())


def read_log(folder: Path) -> Iterable[dict[str, float]]:
    """The rows that :func:`fit` wrote, in order."""
    for line in (folder / _LOG).read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
