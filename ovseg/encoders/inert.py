"""What a checkpoint may hold beside tensors, or in their place, without being able to run code."""

from __future__ import annotations

import argparse
import codecs
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any

import numpy as np
import torch

from ovseg.errors import CheckpointError

__all__ = ["inert_allowed", "is_numpy_pickle", "numpy_globals", "read_numpy_pickle"]

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


_TORCH_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF"


def is_numpy_pickle(path: str | Path) -> bool:
    """Whether a file is a bare pickle, as Detectron2's starting weights are, not one of torch's."""
    with open(path, "rb") as file:
        start = file.read(len(_TORCH_MAGIC))
    return start[:1] == pickle.PROTO and start != _TORCH_MAGIC


def read_numpy_pickle(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the arrays of a bare pickle, those under "model" where there is such an entry.

    Raises:
        CheckpointError: it is damaged, or names anything but numpy's arrays.
    """
    try:
        with open(path, "rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"refused or damaged: {error}",
            where=path,
            expected="a dictionary of numpy arrays",
            fix="download it again, or convert it by its author's code, in a sandbox",
        ) from error
    except (EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"damaged pickle: {error}", where=path, fix="download it again"
        ) from error
    content = content.get("model", content) if isinstance(content, dict) else {}
    return {
        name: torch.from_numpy(array.copy())
        for name, array in content.items()
        if isinstance(array, np.ndarray)
    }


class _ArrayUnpickler(pickle.Unpickler):
    """Finds what arrays are made of, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known = {"_codecs.encode": codecs.encode, "collections.OrderedDict": OrderedDict}
        for one in numpy_globals():
            value, full = one if isinstance(one, tuple) else (one, f"numpy.{one.__name__}")
            known[full] = value
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[f"{module}.{name}"]


@contextmanager
def inert_allowed() -> Iterator[None]:
    """Let torch's safe loader read what scripts save beside weights: numpy, arguments, paths.

    What was allowed before stays allowed afterwards: torch's own context would take it away.
    """
    wanted = [*numpy_globals(), argparse.Namespace, PosixPath, PurePosixPath]
    known = torch.serialization.get_safe_globals()
    with torch.serialization.safe_globals([one for one in wanted if one not in known]):
        yield
