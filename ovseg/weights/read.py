"""Reading weights safely: safetensors, OpenAI's TorchScript archives, torch files, numpy pickles.

None of them can run code: pickles are read by `ovseg.weights.safe_pickle`, whatever they hold.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import CheckpointError
from ovseg.weights.download import sha256
from ovseg.weights.rename import WRAPPERS, strip_prefixes, unwrap
from ovseg.weights.safe_pickle import PickleError
from ovseg.weights.torch_files import archive_names, read_archive, read_chain
from ovseg.weights.torchscript import read_torchscript

__all__ = [
    "hash_state",
    "is_torchscript",
    "read_checkpoint",
    "read_shapes",
    "read_state_dict",
    "reading_once",
    "sha256",
]

# What a reader of pickles and zip archives stumbles over in bytes of any kind.
_DAMAGES = (ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")
_LARGEST_HEADER = 100_000_000

_contents: ContextVar[dict[Path, Any] | None] = ContextVar("_contents", default=None)
"""What was read already, inside `reading_once`."""


def hash_state(state: dict[str, Tensor]) -> str:
    """SHA-256 over names and bytes of a state dict, for weights that have no file."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(
            state[name].detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
        )
    return digest.hexdigest()


def read_state_dict(
    path: str | Path, *, check_finite: bool = True, wrappers: Sequence[str] = WRAPPERS
) -> dict[str, Tensor]:
    """Read a state dict; wrappers listed in `ovseg.weights.rename` are taken off.

    Args:
        path: safetensors file, OpenAI TorchScript archive, or torch pickle of plain tensors.
        check_finite: refuse NaN and infinite values.
        wrappers: names under which the state dict may lie.

    Returns:
        Names and tensors on the CPU, in the file's own number format.

    Raises:
        CheckpointError: the file is absent, not weights (Git LFS pointer, web page), cut short,
            a pickle that would run code, or holds values that are not finite.
    """
    path = Path(path)
    contents = _contents.get()
    if contents is None:
        content = read_checkpoint(path)
    elif path in contents:
        content = contents[path]
    else:
        content = contents[path] = read_checkpoint(path)
    state = unwrap(content, path, wrappers)
    if check_finite:
        _refuse_not_finite(state, path)
    return state


@contextmanager
def reading_once() -> Iterator[None]:
    """Let `read_state_dict` read each file once while the block runs.

    For a file that several parts of a model take their weights from. The tensors are shared, so
    nobody may change them in place.
    """
    token = _contents.set({})
    try:
        yield
    finally:
        _contents.reset(token)


def read_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in a file of weights by its name, without the weights.

    Of a safetensors file only the header is read. The others keep their names in pickles, so they
    are read as `read_state_dict` does, which maps the numbers and does not look at them.

    Args:
        path: as for `read_state_dict`; wrappers are taken off as there.

    Raises:
        CheckpointError: as for `read_state_dict`.
    """
    path = Path(path)
    start = _first_bytes(path)
    if not _is_safetensors(path, start):
        state = read_state_dict(path, check_finite=False)
        return {name: tuple(tensor.shape) for name, tensor in state.items()}
    return strip_prefixes(_read_header(path, start))


def read_checkpoint(path: str | Path, *, more: Mapping[str, Any] | None = None) -> Any:
    """Read all that a checkpoint holds: plain data, and tensors on the CPU.

    Nothing that the file brings is executed: see `ovseg.weights.safe_pickle`.

    Args:
        path: safetensors file, OpenAI TorchScript archive, torch file, or pickle of numpy arrays.
        more: stand-ins for further names that a pickle may use.

    Raises:
        CheckpointError: as for `read_state_dict`.
    """
    path = Path(path)
    start = _first_bytes(path)
    if _is_safetensors(path, start):
        return _read_safetensors(path, start)
    if start.startswith(b"PK") and is_torchscript(path):
        _check_archive(path)
        return _read_torchscript(path)
    return _read_plain(path, start, more)


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive, as OpenAI publishes CLIP."""
    names = archive_names(path) if zipfile.is_zipfile(path) else []
    code = any("/code/" in name for name in names)
    return code and any(name.endswith("/constants.pkl") for name in names)


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        what = "a folder, not a weights file" if path.is_dir() else "no such weights file"
        raise CheckpointError(what, where=path, fix="give the path of a file with weights")
    with open(path, "rb") as file:
        start = file.read(512)
    text = start.lstrip().lower()
    if not start:
        raise CheckpointError("empty weights file", where=path, fix="download it again")
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            "this is a Git LFS pointer, not the weights themselves",
            where=path,
            fix="run `git lfs pull`, or download the file itself",
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise CheckpointError(
            "this is a web page, not weights",
            where=path,
            fix="download the file by its direct link (a log-in or consent page was saved)",
        )
    return start


def _is_safetensors(path: Path, start: bytes) -> bool:
    return path.suffix == ".safetensors" or (len(start) > 8 and start[8:9] == b"{")


def _read_header(path: Path, start: bytes) -> dict[str, tuple[int, ...]]:
    """Shapes by name, as the header of a safetensors file has them.

    Raises:
        CheckpointError: the header is unreadable, or the file is shorter or longer than it says.
    """
    seen, expected = path.stat().st_size, None
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        length = int.from_bytes(start[:8], "little")
        with open(path, "rb") as file:
            file.seek(8)
            entries = json.loads(file.read(min(length, _LARGEST_HEADER)))
        entries.pop("__metadata__", None)
        shapes = {name: tuple(entry["shape"]) for name, entry in entries.items()}
        ends = [entry["data_offsets"][1] for entry in entries.values()]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        pass
    if expected is None or seen != expected:
        raise CheckpointError(
            f"damaged safetensors file of {seen} bytes",
            where=path,
            expected=f"{expected} bytes" if expected else "a safetensors header",
            fix="download it again",
        )
    return shapes


def _read_safetensors(path: Path, start: bytes) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _read_header(path, start)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(
            f"damaged safetensors file: {error}", where=path, fix="download it again"
        ) from error


def _read_plain(path: Path, start: bytes, more: Mapping[str, Any] | None) -> Any:
    """Read an archive of torch or bare pickles; see `read_checkpoint`."""
    try:
        if not start.startswith(b"PK"):
            content, by_torch = read_chain(path, more)
            return content if by_torch else _arrays(content)
        _check_archive(path)
        return read_archive(path, more)
    except _DAMAGES as error:
        raise _refused(path, error) from error


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    try:
        state = read_torchscript(path)
    except _DAMAGES as error:
        raise _refused(path, error) from error
    return {name: tensor for name, tensor in state.items() if name not in _NOT_WEIGHTS}


def _check_archive(path: Path) -> None:
    names = archive_names(path)
    if not names:
        raise CheckpointError(
            f"zip archive cut short at {path.stat().st_size} bytes",
            where=path,
            expected="a whole archive with its directory at the end",
            fix="download it again",
        )
    outside = [name for name in names if _leaves(name)]
    if outside:
        raise CheckpointError(
            f"refused: the archive holds a name that leaves its folder, {outside[0]!r}",
            where=path,
            fix="get the file from its original author",
        )


def _leaves(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/")


def _arrays(content: Any) -> dict[str, Tensor]:
    """Take the arrays of a bare pickle, as Detectron2's starting weights are one."""
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    if not isinstance(content, dict):
        raise PickleError(f"a {type(content).__name__}, not names and arrays")
    return {
        str(name): torch.from_numpy(value)
        for name, value in content.items()
        if isinstance(value, np.ndarray)
    }


def _refused(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"refused or damaged, as weights of {path.stat().st_size} bytes: {error}",
        where=path,
        expected="safetensors, OpenAI's TorchScript archive, or a pickle of tensors or arrays",
        fix="download it again; a file that needs its author's code can only be converted by it, "
        "in a sandbox without network, to safetensors",
    )


def _refuse_not_finite(state: dict[str, Tensor], path: Path) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise CheckpointError(
                f"{bad} of {tensor.numel()} values of {name} are NaN or infinite",
                where=path,
                fix="download it again, or pass check_finite=False to use it as it is",
            )
