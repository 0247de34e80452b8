"""Checkpoints as torch and TorchScript write them, read without their interpreter.

Both are zip archives of a pickle and of raw numbers; before torch 1.6 it was a chain of pickles
with the numbers behind. The pickles go through `PickleMachine`; tensors are views of the mapped
file, checked against the bytes that are there.
"""

from __future__ import annotations

import math
import mmap
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from ovseg.weights.pickle_names import ArrayNames
from ovseg.weights.safe_pickle import PickleError, PickleMachine, Standin, Unfinished, finished

__all__ = ["archive_names", "read_archive", "read_chain"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_LOCAL_HEADER = 30
_ALIGNMENT = 16

_STORAGES: Mapping[str, torch.dtype] = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}


@dataclass
class _Storage(Unfinished):
    """Raw numbers of a file; `place` is where they start and how many bytes they are."""

    dtype: torch.dtype
    count: int
    place: tuple[int, int] | None = None
    data: torch.UntypedStorage | None = None

    def finish(self) -> None:
        """Return nothing: numbers that no tensor uses are not read."""


class _TensorView(Unfinished):
    """A tensor over a storage; made when the file was read."""

    def __init__(
        self, source: TensorSource, storage: Any, offset: Any, size: Any, stride: Any, dtype: Any
    ) -> None:
        if not isinstance(storage, _Storage):
            raise PickleError("a tensor over something else than numbers")
        dtype = storage.dtype if dtype is None else dtype
        if not isinstance(dtype, torch.dtype):
            raise PickleError("a tensor of an unknown type")
        numbers = (offset, *size, *stride) if _are_tuples(size, stride) else (None,)
        if any(type(n) is not int or not 0 <= n < 1 << 48 for n in numbers):
            raise PickleError("a tensor of an impossible shape")
        self._source = source
        self._storage = storage
        self._layout = offset, size, stride
        self._dtype = dtype

    def finish(self) -> Tensor:
        """Return the tensor, once its shape was checked against its numbers."""
        offset, size, stride = self._layout
        data = self._source.numbers(self._storage)
        count = data.nbytes() // self._dtype.itemsize
        elements = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if elements > count or (elements and last >= count):
            raise PickleError(f"a tensor of {elements} numbers over {count}")
        self._source.machine.charge(elements * self._dtype.itemsize)
        return torch.empty(0, dtype=self._dtype).set_(data, offset, size, stride)


def _are_tuples(size: Any, stride: Any) -> bool:
    both = isinstance(size, tuple) and isinstance(stride, tuple)
    return both and len(size) == len(stride) <= 32


class TensorSource:
    """Names and numbers of one checkpoint.

    Args:
        path: the file.
        data: the bytes of its pickles.
        more: further names that its pickles may use.
        unknown: what names stand for that no table lists.
    """

    def __init__(
        self,
        path: Path,
        data: Any,
        more: Mapping[str, Any] | None = None,
        unknown: Callable[[str], Any] | None = None,
    ) -> None:
        self._path = path
        self._mapped: torch.UntypedStorage | None = None
        self.big_endian = False
        self.names = ArrayNames({**self._tensor_names(), **(more or {})}, unknown)
        self.storages: dict[str, _Storage] = {}
        self.machine = self.names.machine = PickleMachine(
            data,
            names=self.names,
            persistent=self._persistent,
            file_size=path.stat().st_size,
        )

    def numbers(self, storage: _Storage) -> torch.UntypedStorage:
        """Return the numbers of a storage, mapped where the file allows it.

        Raises:
            PickleError: the file has none of that name, or fewer than it says.
        """
        if storage.data is None:
            if storage.place is None:
                raise PickleError("numbers that are not in the file")
            start, size = storage.place
            wanted = storage.count * storage.dtype.itemsize
            if wanted > size:
                raise PickleError(f"numbers of {wanted} bytes over {size}")
            storage.data = self._part(start, wanted) if wanted else torch.UntypedStorage(0)
            if self.big_endian:
                storage.data.byteswap(storage.dtype)
        return storage.data

    def _part(self, start: int, size: int) -> torch.UntypedStorage:
        if self._mapped is None:
            length = self._path.stat().st_size
            # torch types the class method as its base's, and slices as numbers.
            self._mapped = torch.UntypedStorage.from_file(  # type: ignore[assignment]
                str(self._path), False, length
            )
        part: Any = cast("torch.UntypedStorage", self._mapped)[start : start + size]
        return part if start % _ALIGNMENT == 0 and not self.big_endian else part.clone()

    def _persistent(self, pid: Any) -> _Storage:
        """Stand for numbers: ("storage", kind, key, device, count, ...)."""
        if not (isinstance(pid, tuple) and 5 <= len(pid) <= 6 and pid[0] == "storage"):
            raise PickleError("an unknown persistent id")
        kind, key, count = pid[1], pid[2], pid[4]
        if len(pid) == 6 and pid[5] is not None:
            raise PickleError("a part of a storage, as torch 0.3 wrote it")
        if not isinstance(kind, _StorageKind) or not isinstance(key, str):
            raise PickleError("an unknown persistent id")
        if type(count) is not int or not 0 <= count < 1 << 48:
            raise PickleError("numbers of an impossible size")
        known = self.storages.setdefault(key, _Storage(kind.dtype, count))
        if (known.dtype, known.count) != (kind.dtype, count):
            raise PickleError("one storage of two kinds")
        return known

    def _tensor_names(self) -> dict[str, Any]:
        def tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _TensorView:
            return _TensorView(self, storage, offset, size, stride, None)

        def typed(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _TensorView:
            _, _, dtype, *_ = rest
            return _TensorView(self, storage, offset, size, stride, dtype)

        def parameter(data: Any, *_: Any) -> _TensorView:
            if not isinstance(data, _TensorView):
                raise PickleError("a parameter without a tensor")
            return data

        calls: dict[str, Callable[..., _TensorView]] = {
            "_rebuild_tensor": tensor,
            "_rebuild_tensor_v2": tensor,
            "_rebuild_tensor_v3": typed,
            "_rebuild_parameter": parameter,
            "_rebuild_parameter_with_state": parameter,
        }
        kinds = {f"torch.{kind}Storage": _StorageKind(dtype) for kind, dtype in _STORAGES.items()}
        return {
            **{f"torch._utils.{name}": Standin(name, make) for name, make in calls.items()},
            **kinds,
            "torch.storage.UntypedStorage": _StorageKind(torch.uint8),
        }


@dataclass(frozen=True)
class _StorageKind:
    dtype: torch.dtype


def archive_names(path: str | Path) -> list[str]:
    """Names in a zip archive; none when it is no archive or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        # A damaged directory may also hold names that are no text, or ask for an unknown version.
        return []


def read_archive(
    path: Path,
    more: Mapping[str, Any] | None = None,
    *,
    unknown: Callable[[str], Any] | None = None,
) -> Any:
    """Read the content of an archive that torch wrote: plain data and tensors on the CPU.

    Args:
        path: the file; tensors are views of it, so it must stay as it is while they live.
        more: further names that its pickle may use.
        unknown: what names stand for that no table lists; they are refused without it.

    Raises:
        PickleError: it is damaged, or asks for more than plain data.
    """
    with zipfile.ZipFile(path) as archive, _mapped(path) as data:
        places = _places(archive, data)
        top = next((name[: -len("data.pkl")] for name in places if _is_pickle(name)), None)
        if top is None:
            raise PickleError("an archive without data.pkl: not one of torch's")
        start, size = places[top + "data.pkl"]
        source = TensorSource(path, data[start : start + size], more, unknown)
        order = places.get(top + "byteorder")
        source.big_endian = order is not None and data[order[0] : order[0] + 3] == b"big"
        content = source.machine.load()
        for key, storage in source.storages.items():
            storage.place = places.get(f"{top}data/{key}")
        return finished(content)


def _is_pickle(name: str) -> bool:
    return name == "data.pkl" or (name.count("/") == 1 and name.endswith("/data.pkl"))


def _places(archive: zipfile.ZipFile, data: mmap.mmap) -> dict[str, tuple[int, int]]:
    """Where the stored bytes of each name start in the file, and how many they are."""
    places: dict[str, tuple[int, int]] = {}
    for entry in archive.infolist():
        if entry.filename in places:
            raise PickleError(f"two entries of the name {entry.filename!r}")
        if entry.flag_bits & 1 or entry.compress_type != zipfile.ZIP_STORED:
            if _is_pickle(entry.filename) or "/data/" in entry.filename:
                raise PickleError("compressed or encrypted numbers, which torch never writes")
            continue
        start = entry.header_offset
        header = data[start : start + _LOCAL_HEADER]
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise PickleError(f"damaged archive: no header of {entry.filename!r}")
        start += _LOCAL_HEADER + sum(int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
        if start + entry.file_size > len(data):
            raise PickleError(f"damaged archive: {entry.filename!r} is cut short")
        places[entry.filename] = start, entry.file_size
    return places


def read_chain(path: Path, more: Mapping[str, Any] | None = None) -> tuple[Any, bool]:
    """Read bare pickles: what torch wrote before 1.6, or a single one of numpy arrays.

    Returns:
        The content, and whether it is torch's.

    Raises:
        PickleError: it is damaged, or asks for more than plain data.
    """
    with _mapped(path) as data:
        source = TensorSource(path, data, more)
        machine = source.machine
        content = machine.load()
        if content != _MAGIC:
            return finished(content), False
        if machine.load() != _PROTOCOL:
            raise PickleError("an unknown version of torch's files")
        about = machine.load()
        source.big_endian = isinstance(about, dict) and about.get("little_endian") is False
        content = machine.load()
        _place_chain(source, machine.load(), data)
        return finished(content), True


def _place_chain(source: TensorSource, keys: Any, data: mmap.mmap) -> None:
    """Find the numbers behind the pickles: of each storage the count, then the bytes."""
    if not isinstance(keys, list):
        raise PickleError("damaged: no list of storages")
    position = source.machine.position
    for key in keys:
        storage = source.storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise PickleError("damaged: a storage that nothing uses")
        order: Literal["big", "little"] = "big" if source.big_endian else "little"
        count = int.from_bytes(data[position : position + 8], order)
        size = count * storage.dtype.itemsize
        position += 8
        if count != storage.count or position + size > len(data):
            raise PickleError("damaged: numbers cut short")
        storage.place = position, size
        position += size


def _mapped(path: Path) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
