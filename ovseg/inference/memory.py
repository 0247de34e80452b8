"""What to do when memory is short: the same work in smaller pieces."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ovseg.errors import RuntimeLimitError

__all__ = ["within_memory"]

T = TypeVar("T")
P = TypeVar("P")


def within_memory(attempt: Callable[[P], T], chunk_plan: Sequence[P], where: str, needed: int) -> T:
    """Try work in ever smaller pieces until it fits into memory.

    Args:
        attempt: does the work in pieces of a size.
        chunk_plan: the sizes, largest first.
        where: what is worked on, for the message.
        needed: bytes that the work needs at least, for the message.

    Raises:
        RuntimeLimitError: even the smallest pieces do not fit.
    """
    for number, size in enumerate(chunk_plan, start=1):
        try:
            return attempt(size)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if number < len(chunk_plan):
            warnings.warn("memory is short: trying again in smaller pieces", stacklevel=2)
    raise RuntimeLimitError(
        "not enough memory, not even in the smallest pieces",
        where=where,
        expected=f"at least {-(-needed >> 20)} MB beside the weights",
        fix="set a smaller test_cfg.short_side, use fewer classes, or another device",
    )


def _out_of_memory(error: BaseException) -> bool:
    """Whether torch (on a GPU or the CPU) or Python could not get memory."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "not enough memory" in str(error)
    )
