"""Types that a checkpoint may hold beside tensors without being able to run code."""

from __future__ import annotations

import argparse
from pathlib import PosixPath, PurePosixPath
from typing import Any

import numpy as np

__all__ = ["inert_globals", "numpy_globals"]

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


def inert_globals() -> list[Any]:
    """What training scripts like to save beside weights: numpy values, arguments, paths.

    Returns:
        A list for `torch.serialization.safe_globals`.
    """
    return [*numpy_globals(), argparse.Namespace, PosixPath, PurePosixPath]
