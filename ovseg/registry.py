"""Heads, refiners, proposers and recipes by the names that configurations use; imports no torch.

A decorator beside the class registers it, in the package and outside of it alike:

    import ovseg
    from ovseg.heads import WindowHead

    @ovseg.register_head("NaClipHead")
    class NaClip(WindowHead): ...

The package's own are found by importing the modules of their room when a name is first looked up;
so are those of installed plug-ins. `ovseg.mm` hands all of them on to mmseg.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, ItemsView, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from ovseg.errors import ConfigError
from ovseg.plugins import installed_plugins, modules_of

__all__ = [
    "HEADS",
    "PROPOSERS",
    "RECIPES",
    "REFINERS",
    "Registry",
    "head_methods",
    "register_head",
    "register_proposer",
    "register_recipe",
    "register_refiner",
]

C = TypeVar("C", bound=type)
Listener = Callable[[str, type], None]


class Registry(Mapping[str, type[Any]]):
    """Classes of one kind by name.

    Args:
        kind: how the names end, for example "Head".
        room: package that holds those of ovseg.
        base: what all of them derive from, as "module:class".
    """

    def __init__(self, kind: str, room: str, base: str) -> None:
        self.kind = kind
        self._room = room
        self._base = base
        self._classes: dict[str, type[Any]] = {}
        self._listeners: list[Listener] = []
        self._room_is_imported = False
        self._is_complete = False
        self._lock = threading.RLock()

    def __getitem__(self, name: str) -> type[Any]:
        if name not in self._classes:
            self._find_all()
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        self._find_all()
        return iter(tuple(self._classes))

    def __len__(self) -> int:
        self._find_all()
        return len(self._classes)

    def items(self) -> ItemsView[str, type[Any]]:
        """Return names and classes, of all that there are."""
        self._find_all()
        return dict(self._classes).items()

    def __repr__(self) -> str:
        return f"<registry of {self._room}: {', '.join(self._classes) or 'not looked into yet'}>"

    def register(self, name: str) -> Callable[[C], C]:
        """Return a decorator that registers a class under a name and leaves it as it is.

        A class takes the place of an earlier one of the same module and name, as it is defined anew
        when a notebook's cell runs again.

        Args:
            name: for configurations; ends with the registry's kind.

        Raises:
            ConfigError: a name that is unusable or taken, or a class that is not of this kind or
                lacks a method.
        """
        self._check_name(name)

        def add(cls: C) -> C:
            if not cls.__module__.startswith("ovseg."):
                self._import_room()  # so that names that the package takes are known
            self._check_class(cls)
            self._check_free(name, cls)
            for listener in self._listeners:
                listener(name, cls)
            self._classes[name] = cls
            return cls

        return add

    def subscribe(self, listener: Listener) -> None:
        """Call a function with name and class of all that is registered, now and from now on."""
        self._find_all()
        self._listeners.append(listener)
        for name, cls in tuple(self._classes.items()):
            listener(name, cls)

    def class_named(self, name: str) -> type[Any]:
        """Return a class of the package by its own name, for the `__getattr__` of its room.

        Raises:
            AttributeError: there is none.
        """
        if not name.startswith("_"):
            self._import_room()
            for cls in self._classes.values():
                if cls.__name__ == name and cls.__module__.startswith(f"{self._room}."):
                    return cls
        raise AttributeError(f"module {self._room!r} has no attribute {name!r}")

    def _find_all(self) -> None:
        if not self._is_complete:
            self._import_room()
            installed_plugins()
            self._is_complete = True

    def _import_room(self) -> None:
        with self._lock:
            if self._room_is_imported:
                return
            self._room_is_imported = True  # first of all: a module may look something up itself
            try:
                modules_of(self._room)
            except BaseException:
                self._room_is_imported = False
                raise

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or not name.isidentifier() or not name.endswith(self.kind):
            raise ConfigError(
                f"{name!r} is no name of a {self.kind.lower()}",
                expected=f'@register_{self.kind.lower()}("My{self.kind}"): a word that ends with '
                f"{self.kind}",
            )

    def _check_free(self, name: str, cls: type) -> None:
        other = self._classes.get(name)
        if other is not None and _full_name(other) != _full_name(cls):
            raise ConfigError(
                f"the name {name!r} is registered twice: by {_full_name(other)} "
                f"and by {_full_name(cls)}",
                where=_place(cls),
                fix="choose another name",
            )

    def _check_class(self, cls: type) -> None:
        module, _, name = self._base.partition(":")
        base = getattr(import_module(module), name)
        if not isinstance(cls, type) or not issubclass(cls, base):
            raise ConfigError(
                f"{_full_name(cls)} is no {self.kind.lower()}",
                where=_place(cls),
                expected=f"a class that derives from {module}.{name}",
            )
        for method, wanted in _demanded(cls).items():
            given = getattr(cls, method, None)
            fault = None
            if not callable(given) or getattr(given, "__isabstractmethod__", False):
                fault = f"lacks the method {method}"
            elif not _takes(given, wanted):
                fault = f"has a method {method}{_signature(given)}"
            if fault is not None:
                raise ConfigError(
                    f"{_full_name(cls)} {fault}",
                    where=_place(cls),
                    expected=f"{method}{_signature(wanted)}: {_first_line(wanted)}",
                )


HEADS = Registry("Head", "ovseg.heads", "ovseg.heads.base:Head")
"""Heads by the names that configurations use."""

REFINERS = Registry("Refiner", "ovseg.refine", "ovseg.refine.base:Refiner")
"""Refiners, likewise."""

PROPOSERS = Registry("Proposer", "ovseg.proposals", "ovseg.masks.proposer:Proposer")
"""Proposers, likewise."""

RECIPES = Registry("Recipe", "ovseg.training", "ovseg.training.base:Recipe")
"""Recipes, likewise."""


def register_head(name: str) -> Callable[[C], C]:
    """Register a head: `@register_head("NaClipHead")` beside a class of `ovseg.heads.Head`.

    It then works in `ovseg.load`, on the command line and, under this name, as a decode head of
    mmseg.

    Raises:
        ConfigError: see `Registry.register`.
    """
    return HEADS.register(name)


def register_refiner(name: str) -> Callable[[C], C]:
    """Register a refiner, a class of `ovseg.refine.Refiner`; as `register_head`."""
    return REFINERS.register(name)


def register_proposer(name: str) -> Callable[[C], C]:
    """Register a source of masks, an `ovseg.masks.proposer.Proposer`; as `register_head`."""
    return PROPOSERS.register(name)


def register_recipe(name: str) -> Callable[[C], C]:
    """Register a way to train, a class of `ovseg.training.base.Recipe`; as `register_head`."""
    return RECIPES.register(name)


def head_methods() -> tuple[str, ...]:
    """Return the names of the methods that have a head, sorted.

    They are those of the heads' modules, as the folders of `configs/` are called.

    Example:
        >>> "clip_dinoiser" in head_methods()
        True
    """
    return tuple(sorted({cls.__module__.rpartition(".")[2] for cls in HEADS.values()}))


def _demanded(cls: type) -> dict[str, Any]:
    """Methods that some class above declares as abstract, the nearest declaration of each."""
    found: dict[str, Any] = {}
    for each in cls.__mro__:
        for name, value in vars(each).items():
            if inspect.isfunction(value) and getattr(value, "__isabstractmethod__", False):
                found.setdefault(name, value)
    return found


def _takes(given: Callable[..., Any], wanted: Callable[..., Any]) -> bool:
    """Whether a method can be called as the declaration says."""
    words = inspect.signature(wanted).parameters.values()
    named = {each.name: None for each in words if each.kind is each.KEYWORD_ONLY}
    try:
        inspect.signature(given).bind(*[None] * (len(words) - len(named)), **named)
    except TypeError:
        return False
    return True


def _signature(method: Callable[..., Any]) -> str:
    return str(inspect.signature(method)).replace("'", "")


def _first_line(method: Callable[..., Any]) -> str:
    return (inspect.getdoc(method) or "").partition("\n")[0]


def _full_name(cls: object) -> str:
    return f"{getattr(cls, '__module__', '?')}.{getattr(cls, '__qualname__', repr(cls))}"


def _place(cls: Any) -> str | None:
    """File and line of a class or function, where that is known."""
    try:
        return f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return None
