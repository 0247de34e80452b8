"""Weights of a TorchScript archive, as OpenAI publishes CLIP, without running its program.

The modules of the archive are a pickle of their attributes; its `code/` is only read, for the lists
of what is a parameter or a buffer. The interpreter of TorchScript is never started, because loading
alone would run methods of the archive.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ovseg.weights.safe_pickle import Inert, PickleError, Standin
from ovseg.weights.torch_files import read_archive

__all__ = ["read_torchscript"]

_MODULE = "__torch__."
_LARGEST_CODE = 16 << 20
_MOST_MODULES = 100_000
_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_NAMES = re.compile(r"^  __(?:parameters|buffers)__ = \[([^\]\n]*)\]", re.MULTILINE)
_QUOTED = re.compile(r'"([^"]*)"')


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return parameters and buffers by their path, for example "visual.conv1.weight".

    Raises:
        PickleError: it is damaged, or a module restores itself by code of the archive.
    """
    root = read_archive(path, _list_names(), unknown=_module)
    if not isinstance(root, Inert):
        raise PickleError("an archive of something else than a module")
    return _collected(root, _registered(path))


def _module(name: str) -> Standin:
    """Stand for a module of the archive; any other name that the table lacks is refused."""
    if not name.startswith(_MODULE):
        raise PickleError(f"it asks for {name}")
    return Standin(name, lambda *_: Inert(name))


def _list_names() -> dict[str, Standin]:
    kinds = ("intlist", "doublelist", "boollist", "tensorlist", "complexlist")
    names: dict[str, Callable[..., Any]] = {
        f"torch.jit._pickle.build_{kind}": lambda items: items for kind in kinds
    }
    names["torch.jit._pickle.restore_type_tag"] = lambda value, _kind: value
    return {name: Standin(name, make) for name, make in names.items()}


def _collected(root: Inert, registered: Mapping[str, set[str]]) -> dict[str, Tensor]:
    """Tensors of a module, then those of the modules inside it, by their paths."""
    state: dict[str, Tensor] = {}
    waiting = [("", root)]
    visits = 0
    while waiting:
        prefix, module = waiting.pop()
        visits += 1
        # Modules that share others have more paths than there are modules: without end, almost.
        if visits > _MOST_MODULES or not isinstance(module.state, dict):
            what = (
                "more modules than a model has"
                if visits > _MOST_MODULES
                else (f"{module.name} restores itself by code of the archive")
            )
            raise PickleError(what)
        # A class whose code is not there tells nothing; all of its tensors count then.
        known = registered.get(module.name, module.state.keys())
        for name, value in module.state.items():
            if isinstance(value, Tensor) and name in known:
                state[f"{prefix}{name}"] = value
        inside = [(f"{prefix}{n}.", v) for n, v in module.state.items() if isinstance(v, Inert)]
        waiting += inside[::-1]
    return state


def _registered(path: Path) -> dict[str, set[str]]:
    """Names of parameters and buffers of each class in the archive's code, which is only read."""
    found: dict[str, set[str]] = {}
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if _is_code(entry.filename)]
        if sum(entry.file_size for entry in entries) > _LARGEST_CODE:
            raise PickleError("more code than a model has")
        for entry in entries:
            home = entry.filename.split("/code/", 1)[1].removesuffix(".py").replace("/", ".")
            text = archive.read(entry).decode("utf-8", "replace")
            # What stands before the first class, then each class's name and body in turn.
            _, *parts = _CLASS.split(text)
            for kind, body in zip(parts[::2], parts[1::2], strict=True):
                lists = _NAMES.findall(body)
                found[f"{home}.{kind}"] = {name for one in lists for name in _QUOTED.findall(one)}
    return found


def _is_code(name: str) -> bool:
    return "/code/" in name and name.endswith(".py")
