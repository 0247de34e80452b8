"""Heads and refiners of `ovseg.registry` in mmseg's registry, under the names that configs use.

Whatever is registered later, by a plug-in, follows at once.
"""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import nn

from ovseg.errors import ConfigError
from ovseg.heads.base import Head, WindowHead
from ovseg.mm.heads import OpenVocabHead, WholeImageHead
from ovseg.refine.base import Refiner
from ovseg.registry import HEADS, REFINERS

__all__ = ["find_registered", "follow_registries"]

_ours: dict[str, type[nn.Module]] = {}


def follow_registries() -> None:
    """Register all heads and refiners with mmseg, and from now on every new one."""
    HEADS.subscribe(_add_head)
    REFINERS.subscribe(_add_refiner)


def find_registered(name: str) -> type[nn.Module]:
    """Return the class that mmseg builds for a head or refiner.

    Raises:
        AttributeError: nothing of this name is registered.
    """
    if name not in _ours:
        raise AttributeError(f"module 'ovseg.mm' has no attribute {name!r}")
    return _ours[name]


def _add_head(name: str, core: type[Head]) -> None:
    base = OpenVocabHead if issubclass(core, WindowHead) else WholeImageHead
    doc = f"`{core.__module__}.{core.__name__}` with the face of mmseg's decode heads."
    _add(name, type(name, (base,), {"core_type": core, "__module__": "ovseg.mm", "__doc__": doc}))


def _add_refiner(name: str, refiner: type[Refiner]) -> None:
    _add(name, refiner)


def _add(name: str, cls: type[nn.Module]) -> None:
    theirs = MODELS.get(name)
    if theirs is not None and theirs is not _ours.get(name):
        raise ConfigError(
            f"the name {name!r} is one of mmseg's, for {theirs.__module__}.{theirs.__qualname__}",
            fix="choose another name",
        )
    MODELS.register_module(name=name, module=cls, force=True)
    _ours[name] = cls
