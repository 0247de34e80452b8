"""Lets mmengine read its own checkpoints through torch's safe loader.

mmengine calls `torch.load` with its default, `weights_only=True`, which refuses what every
checkpoint of the Runner holds beside weights: the `HistoryBuffer`s of its message hub, pickled as
numpy arrays and as `getattr(HistoryBuffer, "mean")`. `allow_runner_checkpoints()` names exactly
these as safe. `getattr` itself is never allowed: a guarded stand-in answers for four names of one
class, so that a hostile pickle gains nothing.
"""

from __future__ import annotations

import pickle  # noqa: S403 - only its error class is used
from collections.abc import Callable
from typing import Any

import torch
from mmengine.logging import HistoryBuffer

from ovseg.encoders.inert import numpy_globals

__all__ = ["allow_runner_checkpoints"]

_STATISTICS = frozenset({"min", "max", "current", "mean"})


def _statistic_of_history(owner: object, name: str) -> Callable[..., Any]:
    """Stand in for `getattr` while unpickling: four methods of `HistoryBuffer`, nothing else."""
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(
        f"refused getattr({owner!r}, {name!r}): a checkpoint may only name the statistics "
        f"{', '.join(sorted(_STATISTICS))} of mmengine's HistoryBuffer"
    )


def allow_runner_checkpoints() -> None:
    """Add what a checkpoint of mmengine's Runner holds to torch's list of safe globals.

    Calling it again changes nothing. `weights_only` stays on: any other global is still refused.
    """
    torch.serialization.add_safe_globals(
        [HistoryBuffer, *numpy_globals(), (_statistic_of_history, "builtins.getattr")]
    )
