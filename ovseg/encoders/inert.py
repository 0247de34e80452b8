"""Types that a checkpoint may hold beside tensors without being able to run code."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PosixPath, PurePosixPath
from typing import Any

import numpy as np
import torch

__all__ = ["inert_allowed", "numpy_globals"]

_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "bool")


def numpy_globals() -> list[Any]:
    """What numpy arrays and scalars are pickled as, under the names of numpy 1 and 2."""
    names = ("_reconstruct", "scalar")
    multiarray = np._core.multiarray if hasattr(np, "_core") else np.core.multiarray
    both = [
        (getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
        for name in names
        for core in ("_core", "core")
    ]
    return [np.ndarray, np.dtype, *both, *(type(np.dtype(code)) for code in _DTYPES)]


@contextmanager
def inert_allowed() -> Iterator[None]:
    """Let torch's safe loader read what scripts save beside weights: numpy, arguments, paths.

    What was allowed before stays allowed afterwards: torch's own context would take it away.
    """
    wanted = [*numpy_globals(), argparse.Namespace, PosixPath, PurePosixPath]
    known = torch.serialization.get_safe_globals()
    with torch.serialization.safe_globals([one for one in wanted if one not in known]):
        yield
