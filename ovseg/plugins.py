"""Modules from outside the package that bring heads, refiners, proposers, recipes or models.

A plug-in is any module: importing it registers what it holds (see `ovseg.registry`). It is named on
the command line (`--plugin`), in the `custom_imports` of a trusted configuration, imported by
hand, or announced by an installed distribution under the entry point group `ovseg.plugins`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from ovseg.errors import ConfigError, OvsegError

__all__ = [
    "ENTRY_POINTS",
    "custom_imports",
    "import_plugin",
    "import_plugins",
    "installed_plugins",
    "modules_of",
]

ENTRY_POINTS = "ovseg.plugins"
"""Group of the entry points under which distributions announce plug-ins."""

_OWN = Path(__file__).parent
_installed: dict[str, str] | None = None
_lock = threading.RLock()


def modules_of(package: str) -> list[ModuleType]:
    """Import all modules of a package, in the order of their names; packages inside are left out.

    Example:
        >>> "ovseg.zoo.maskclip" in [module.__name__ for module in modules_of("ovseg.zoo")]
        True
    """
    folder = importlib.import_module(package).__path__
    names = sorted(each.name for each in pkgutil.iter_modules(folder) if not each.ispkg)
    return [importlib.import_module(f"{package}.{name}") for name in names]


def import_plugin(name: str) -> ModuleType:
    """Import a plug-in; what is not installed is looked for in the current folder.

    Args:
        name: of the module, for example "my_head" or "my_package.heads".

    Raises:
        ConfigError: no such module, or it failed; the message has the reason and file and line.

    Example:
        >>> import_plugin("my_head.py")
        Traceback (most recent call last):
        ...
        ovseg.errors.ConfigError: plug-in my_head.py: no name of a module; to fix: write my_head
    """
    where = f"plug-in {name}"
    if not all(part.isidentifier() for part in name.split(".")) or name.endswith(".py"):
        fix = f"write {'.'.join(Path(name).with_suffix('').parts)}" if name else None
        raise ConfigError("no name of a module", where=where, fix=fix)
    try:
        _make_findable(name)
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Of the plug-in itself, or of a package above it; else the plug-in asks for another module.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, error) from error
        raise ConfigError(
            f"no module {error.name}",
            where=where,
            expected=f"one that is installed, or that lies in {Path.cwd()}",
        ) from error
    except (Exception, SystemExit) as error:  # somebody's code, which may fail in any way
        raise _failed(name, error) from error


def import_plugins(names: Iterable[str]) -> None:
    """Import plug-ins in their order.

    Raises:
        ConfigError: one cannot be imported; see `import_plugin`.
    """
    for name in names:
        import_plugin(name)


def custom_imports(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that a configuration of mmengine's kind wants imported.

    Raises:
        ConfigError: its `custom_imports` is not of mmengine's form.
    """
    asked = config.get("custom_imports") or {}
    names = asked.get("imports") if isinstance(asked, Mapping) else None
    names = [names] if isinstance(names, str) else names or ([] if not asked else None)
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"{asked!r}", where="custom_imports", expected='dict(imports=["my_module", "ovseg.mm"])'
        )
    return tuple(names)


def installed_plugins() -> dict[str, str]:
    """Import the plug-ins that installed distributions announce; once a process.

    One that fails is no reason to stop, for nobody asked for it here and now: it is left out with a
    warning.

    Returns:
        "loaded", or what went wrong, by the name of the module.
    """
    from importlib.metadata import entry_points

    global _installed
    with _lock:
        if _installed is None:
            _installed = {}  # first of all: a plug-in may look something up itself
            for point in sorted(entry_points(group=ENTRY_POINTS)):
                _installed[point.module] = _try(point.module)
        return dict(_installed)


def _try(module: str) -> str:
    try:
        import_plugin(module)
    except ConfigError as error:
        warnings.warn(f"left out: {error}", stacklevel=2)
        return str(error)
    return "loaded"


def _make_findable(name: str) -> None:
    """Let the current folder be searched too, after all others, where that is needed."""
    top = name.partition(".")[0]
    here = str(Path.cwd())
    importlib.invalidate_caches()
    if top not in sys.modules and find_spec(top) is None and here not in sys.path:
        sys.path.append(here)


def _failed(name: str, error: BaseException) -> ConfigError:
    reason = str(error) if isinstance(error, OvsegError) else f"{type(error).__name__}: {error}"
    place = _place(error)
    where = f"plug-in {name}" if place is None else f"plug-in {name}, {place}"
    return ConfigError(f"cannot be imported: {reason}", where=where)


def _place(error: BaseException) -> str | None:
    """File and line of the code at fault: the last that is neither ours nor the import system's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    ours = (_OWN, Path(importlib.__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_file() and not any(path.is_relative_to(folder) for folder in ours):
            return f"{frame.filename}:{frame.lineno}"
    return None
