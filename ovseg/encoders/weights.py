"""Reading weights safely: safetensors, OpenAI's TorchScript archives, plain torch pickles."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ovseg.encoders.fetch import sha256
from ovseg.encoders.keys import WRAPPERS, unwrap
from ovseg.errors import CheckpointError

__all__ = ["hash_state", "is_torchscript", "read_state_dict", "sha256"]

_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")


def hash_state(state: dict[str, Tensor]) -> str:
    """SHA-256 over names and bytes of a state dict, for weights that have no file."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive, as OpenAI publishes CLIP."""
    names = _archive_names(path)
    code = any("/code/" in name for name in names)
    return code and any(name.endswith("/constants.pkl") for name in names)


def _archive_names(path: str | Path) -> list[str]:
    """Names in a zip archive; none when it is no archive or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        # A damaged directory may also hold names that are no text, or ask for an unknown version.
        return []


def read_state_dict(
    path: str | Path, *, check_finite: bool = True, wrappers: Sequence[str] = WRAPPERS
) -> dict[str, Tensor]:
    """Read a state dict; wrappers listed in `ovseg.encoders.keys` are taken off.

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
    start = _first_bytes(path)
    if _is_safetensors(path, start):
        state = _read_safetensors(path, start)
    elif start.startswith(b"PK"):
        state = _read_zip(path)
    else:
        state = _read_pickle(path)
    state = unwrap(state, path, wrappers)
    if check_finite:
        _refuse_not_finite(state, path)
    return state


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


def _read_safetensors(path: Path, start: bytes) -> dict[str, Tensor]:
    import json

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    seen = path.stat().st_size
    try:
        header = int.from_bytes(start[:8], "little")
        with open(path, "rb") as file:
            file.seek(8)
            entries = json.loads(file.read(min(header, 100_000_000)))
        ends = [e["data_offsets"][1] for name, e in entries.items() if name != "__metadata__"]
        expected = 8 + header + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        expected = None
    if expected is None or seen != expected:
        size = f"{expected} bytes" if expected else "a safetensors header"
        raise CheckpointError(
            f"damaged safetensors file of {seen} bytes",
            where=path,
            expected=size,
            fix="download it again",
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(
            f"damaged safetensors file: {error}", where=path, fix="download it again"
        ) from error


def _read_zip(path: Path) -> dict[str, Tensor]:
    names = _archive_names(path)
    if not names:
        raise CheckpointError(
            f"zip archive cut short at {path.stat().st_size} bytes",
            where=path,
            expected="a whole archive with its directory at the end",
            fix="download it again",
        )
    outside = [name for name in names if name.startswith("/") or ".." in name.split("/")]
    if outside:
        raise CheckpointError(
            f"refused: the archive holds a name that leaves its folder, {outside[0]!r}",
            where=path,
            fix="get the file from its original author",
        )
    return _read_torchscript(path) if is_torchscript(path) else _read_pickle(path)


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            # torch means to drop TorchScript some day; OpenAI's files stay what they are.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            module = torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, LookupError, ValueError) as error:
        raise _damaged(path, error) from error
    return {k: v for k, v in module.state_dict().items() if k not in _NOT_WEIGHTS}


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        mmap = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        reason = _refusal(error, path)
        if reason is None:
            raise _damaged(path, error) from error
        raise CheckpointError(
            f"refused: this pickle holds more than plain tensors ({reason})",
            where=path,
            fix=f"run `ovseg convert-weights {path.name} {path.stem}.safetensors`, which reads "
            "numpy values and arguments too; what it refuses as well can only be converted by its "
            "author's code, in a sandbox without network",
        ) from error
    except Exception as error:
        # The unpickler meets arbitrary bytes: what it stumbles over can be anything.
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"not readable as weights ({path.stat().st_size} bytes): {_first_line(error)}",
        where=path,
        expected="safetensors, OpenAI's TorchScript archive, or a torch file of plain tensors",
        fix="download it again",
    )


def _first_line(error: Exception) -> str:
    """What went wrong, without torch's advice to load the file unsafely."""
    lines = (line for line in str(error).splitlines() if "weights_only" not in line)
    return next(lines, type(error).__name__)


def _refusal(error: Exception, path: Path) -> str | None:
    """What torch did not admit, or None where the file is merely damaged or no pickle."""
    signs = ["GLOBAL", "Unsupported class"]
    with open(path, "rb") as file:
        if file.read(1) == pickle.PROTO:
            signs.append("Unsupported operand")
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if any(sign in line for sign in signs)), None)


def _refuse_not_finite(state: dict[str, Tensor], path: Path) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise CheckpointError(
                f"{bad} of {tensor.numel()} values of {name} are NaN or infinite",
                where=path,
                fix="download it again, or pass check_finite=False to use it as it is",
            )
