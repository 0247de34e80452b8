"""Lets mmseg import over mmcv-lite, which lacks mmcv's compiled operators.

`mmcv.ops`, and with it `mmseg.models`, imports `mmcv._ext` and checks that it has the names of the
operators; they are needed only when one of them is called. `install()` offers a stand-in for
`mmcv._ext` that has every name and refuses every call. It is asked last: a full mmcv is found
before it and is never shadowed, and a broken one still fails with its own message.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import NoReturn

__all__ = ["MissingMMCVOp", "install"]

MODULE = "mmcv._ext"


class MissingMMCVOp(RuntimeError):  # noqa: N818 - it is an operator that is missing
    """An operator of mmcv's compiled extension was called, and only mmcv-lite is installed."""

    def __init__(self, name: str) -> None:
        self.op = name
        super().__init__(
            f"mmcv operator {name!r} needs mmcv's compiled extension, but mmcv-lite is installed; "
            "to fix: install the full mmcv (>=2.1,<2.2) built for your torch in place of mmcv-lite"
        )


class _MissingOps(ModuleType):
    """A module in which every ordinary name is an operator that refuses to be called."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

        def missing(*_args: object, **_options: object) -> NoReturn:
            raise MissingMMCVOp(name)

        return missing


class _ExtFinder(MetaPathFinder, Loader):
    """Finds `mmcv._ext`, and nothing else, when no other finder has found it."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the specification of the stand-in, or None for any other module."""
        if fullname != MODULE:
            return None
        return ModuleSpec(fullname, self, origin="stand-in of ovseg for mmcv-lite")

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make the stand-in module."""
        return _MissingOps(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the stand-in has no code to run."""


def install() -> None:
    """Append the finder to `sys.meta_path`, once; later calls change nothing.

    mmengine 0.10 asks for mmcv's operators by `pkgutil.find_loader`, which Python 3.14 removed;
    there `importlib.util.find_spec` answers in its place.
    """
    if not any(isinstance(finder, _ExtFinder) for finder in sys.meta_path):
        sys.meta_path.append(_ExtFinder())
    if not hasattr(pkgutil, "find_loader"):
        vars(pkgutil)["find_loader"] = find_spec
