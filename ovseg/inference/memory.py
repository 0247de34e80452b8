"""What to do when memory is short."""

from __future__ import annotations

import warnings

import torch

__all__ = ["recover_memory"]


def recover_memory(error: BaseException, *, last: bool) -> None:
    """Go on after an error if it says that memory is short; any other error is raised again.

    Args:
        error: what a piece of work has raised.
        last: there are no smaller pieces to try; else a warning says that they are tried.
    """
    if not _out_of_memory(error):
        raise error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if not last:
        warnings.warn("memory is short: trying again in smaller pieces", stacklevel=2)


def _out_of_memory(error: BaseException) -> bool:
    """Whether torch (on a GPU or the CPU) or Python could not get memory."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "not enough memory" in str(error)
    )
