"""Checkpoints of mmengine's Runner, read without its or torch's unpickler.

Beside weights they hold the histories of the message hub. These are built here, from arrays of
plain numbers; the statistics that a pickled history names by `getattr` are the class's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

from ovseg.weights.read import read_checkpoint
from ovseg.weights.safe_pickle import PickleError, Standin, Unfinished

__all__ = ["read_runner_checkpoint"]

_NAME = "mmengine.logging.history_buffer.HistoryBuffer"
_LONGEST = 10_000_000


class _History(Unfinished):
    """A history of numbers, as the message hub saves it."""

    def __init__(self) -> None:
        self.state: Any = None

    def build(self, state: Any) -> None:
        """Keep the attributes until their arrays are complete."""
        if not isinstance(state, dict):
            raise PickleError("a history with an unknown state")
        self.state = {
            name: value.finish() if isinstance(value, Unfinished) else value
            for name, value in state.items()
            if name in ("max_length", "_log_history", "_count_history")
        }

    def finish(self) -> HistoryBuffer:
        """Return the history.

        Raises:
            PickleError: it is no history of numbers.
        """
        state = self.state or {}
        log, count = state.get("_log_history"), state.get("_count_history")
        longest = state.get("max_length")
        if (
            not isinstance(log, np.ndarray)
            or not isinstance(count, np.ndarray)
            or log.ndim != 1
            or log.shape != count.shape
        ):
            raise PickleError("a history without its numbers")
        if type(longest) is not int or not len(log) <= longest <= _LONGEST:
            raise PickleError("a history of an impossible length")
        return HistoryBuffer(log, count, longest)


def read_runner_checkpoint(path: str | Path, map_location: Any = None) -> Any:
    """Read a checkpoint whole: weights, the optimizer's state, histories.

    Args:
        path: the file.
        map_location: a device for the tensors; None leaves them on the CPU.

    Raises:
        CheckpointError: it is damaged, or asks for more than plain data.
    """
    content = read_checkpoint(path, more={_NAME: Standin(_NAME, _History)})
    return content if map_location in (None, "cpu") else _moved(content, map_location)


def _moved(value: Any, device: Any) -> Any:
    """Move every tensor inside plain containers; the containers themselves stay."""
    if isinstance(value, Tensor):
        return value.to(torch.device(device) if isinstance(device, str) else device)
    if isinstance(value, dict):
        for name, one in value.items():
            value[name] = _moved(one, device)
    elif isinstance(value, list):
        value[:] = [_moved(one, device) for one in value]
    elif type(value) is tuple:
        return tuple(_moved(one, device) for one in value)
    return value
