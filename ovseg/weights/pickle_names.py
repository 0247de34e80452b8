"""The names that a checkpoint may use, and our own stand-ins for them.

Numbers come as numpy arrays and scalars of plain numeric types, checked against the bytes that are
there. What training scripts save beside weights (arguments, paths, histories) stays inert.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ovseg.weights.safe_pickle import Inert, PickleError, PickleMachine, Standin, Unfinished

__all__ = ["ArrayNames", "history_statistic"]

_NUMERIC = frozenset(np.dtype(code).str[1:] for code in "?bhiqBHIQefdFD") | {"bool"}
_INERT = (
    "argparse.Namespace",
    "mmengine.logging.history_buffer.HistoryBuffer",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib.WindowsPath",
    "pathlib._local.Path",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
)
_HISTORY = "mmengine.logging.history_buffer.HistoryBuffer"
_STATISTICS = ("min", "max", "current", "mean")
_DEVICES = ("cpu", "cuda", "mps", "xpu", "meta")


class ArrayNames:
    """The table of names for one machine: numpy's, torch's values, and inert classes.

    Args:
        more: further names, which go before the table's own.
        unknown: what other names stand for; they are refused without it.
    """

    def __init__(
        self,
        more: Mapping[str, Any] | None = None,
        unknown: Callable[[str], Any] | None = None,
    ) -> None:
        self.machine: PickleMachine | None = None
        self._table = {**_values(), **self._calls(), **(more or {})}
        self._unknown = unknown

    def __call__(self, name: str) -> Any:
        """Return what a name stands for, by its name in Python 3 and numpy 2.

        Raises:
            PickleError: no such name is known.
        """
        known = name.replace("__builtin__.", "builtins.").replace("numpy.core.", "numpy._core.")
        if known in self._table:
            return self._table[known]
        if self._unknown is None:
            raise PickleError(f"it asks for {name}")
        return self._unknown(name)

    def charge(self, count: int) -> None:
        """Count bytes that the file lets us make; see `PickleMachine.charge`."""
        if self.machine is not None:
            self.machine.charge(count)

    def _calls(self) -> dict[str, Standin]:
        calls: dict[str, Callable[..., Any] | None] = {
            "_codecs.encode": self._encode,
            "collections.OrderedDict": _ordered,
            "collections.Counter": _counter,
            "builtins.getattr": history_statistic,
            "builtins.bytearray": _bytes,
            "builtins.bytes": _bytes,
            "torch.Size": _size,
            "torch.device": _device,
            "numpy.ndarray": None,
            "numpy.dtype": _DType,
            "numpy._core.multiarray._reconstruct": self._reconstruct,
            "numpy._core.multiarray.scalar": self._scalar,
            "numpy._core.numeric._frombuffer": self._from_buffer,
        }
        table = {name: Standin(name, make) for name, make in calls.items()}
        return table | {name: Standin(name, _inert(name)) for name in _INERT}

    def _encode(self, text: Any, encoding: Any = "utf-8") -> bytes:
        """Bytes as protocol 2 writes them."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise PickleError(f"it encodes as {encoding!r}"[:80])
        self.charge(len(text))
        try:
            return text.encode("latin1")
        except UnicodeEncodeError as error:
            raise PickleError("damaged: bytes beyond 255") from error

    def _reconstruct(self, kind: Any, shape: Any, code: Any) -> _Array:
        if not (isinstance(kind, Standin) and kind.name == "numpy.ndarray"):
            raise PickleError("an array of another class than numpy.ndarray")
        return _Array(self.charge)

    def _scalar(self, dtype: Any, data: Any) -> _Array:
        array = _Array(self.charge, scalar=True)
        array.build((1, (), dtype, False, data))
        return array

    def _from_buffer(self, data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
        array = _Array(self.charge)
        array.build((1, shape, dtype, order == "F", data))
        return array


def history_statistic(owner: Any, name: Any) -> Inert:
    """Stand in for `getattr` as a history of mmengine names its four statistics; nothing is read.

    Raises:
        PickleError: another owner or name.
    """
    if isinstance(owner, Standin) and owner.name == _HISTORY and name in _STATISTICS:
        return Inert(f"{_HISTORY}.{name}")
    raise PickleError(f"it asks for getattr of {name!r}"[:100])


class _DType(Unfinished):
    """A plain numeric type, as numpy pickles it."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        if not (isinstance(code, str) and code.lstrip("<>=|") in _NUMERIC):
            raise PickleError(f"an array of type {code!r}"[:100])
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take the byte order; fields and sub-arrays are refused."""
        if not (isinstance(state, tuple) and 5 <= len(state) <= 9):
            raise PickleError("a numeric type with an unknown state")
        order, *parts = state[1:5]
        if order not in ("<", ">", "=", "|") or any(part is not None for part in parts):
            raise PickleError("an array of structures")
        self.dtype = self.dtype.newbyteorder(order)

    def finish(self) -> str:
        """Return the type's name: a value of its own is nothing that weights need."""
        return str(self.dtype)


class _Array(Unfinished):
    """An array, or a scalar, of plain numbers over the bytes that a file holds."""

    def __init__(self, charge: Callable[[int], None], scalar: bool = False) -> None:
        self._charge = charge
        self._scalar = scalar
        self._array: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """Take shape, type, order and bytes."""
        if not (isinstance(state, tuple) and len(state) == 5):
            raise PickleError("an array with an unknown state")
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise PickleError("an array of other things than plain numbers")
        if not _is_shape(shape):
            raise PickleError("an array of an impossible shape")
        wanted = math.prod(shape) * dtype.dtype.itemsize
        if wanted != len(data):
            raise PickleError(f"an array of {wanted} bytes over {len(data)}")
        self._charge(len(data))
        flat = np.frombuffer(data, dtype.dtype)
        if dtype.dtype == bool and np.frombuffer(data, np.uint8).max(initial=0) > 1:
            raise PickleError("an array of bool with other values than 0 and 1")
        self._array = flat.reshape(shape, order="F" if fortran else "C")

    def finish(self) -> Any:
        """Return the array, in the machine's own byte order and free to be written."""
        if self._array is None:
            raise PickleError("an array without bytes")
        if self._scalar:
            return self._array[()]
        return self._array.astype(self._array.dtype.newbyteorder("="), copy=True)


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= 32
        and all(type(n) is int and 0 <= n < 1 << 48 for n in shape)
    )


def _values() -> dict[str, Any]:
    return {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}


def _inert(name: str) -> Callable[..., Inert]:
    def make(*args: Any) -> Inert:
        return Inert(name)

    return make


def _ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    """An ordered dictionary; Python 2 gave its items as a list of pairs."""
    result: OrderedDict[Any, Any] = OrderedDict()
    if not isinstance(items, (list, tuple)):
        raise PickleError("a dictionary made of something else than pairs")
    for pair in items:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)):
            raise PickleError("a dictionary made of something else than pairs")
        result[pair[0]] = pair[1]
    return result


def _counter(items: Any = None) -> Any:
    if items is not None and type(items) is not dict:
        raise PickleError("a counter of something else than a dictionary")
    return Counter() if items is None else items


def _bytes(data: Any = b"") -> bytes:
    if not isinstance(data, bytes):
        raise PickleError("bytes of something else than bytes")
    return data


def _size(shape: Any = ()) -> torch.Size:
    if not _is_shape(shape):
        raise PickleError("an impossible size")
    return torch.Size(shape)


def _device(kind: Any, index: Any = None) -> str:
    if kind not in _DEVICES:
        raise PickleError(f"a device {kind!r}"[:60])
    return kind
