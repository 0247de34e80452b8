"""Objects from plain data: dicts with a `type` and the arguments of what it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from ovseg.errors import ConfigError
from ovseg.registry import Registry

__all__ = ["resolve_type", "build", "check_keys", "to_config"]

T = TypeVar("T")


def check_keys(data: Any, valid: Sequence[str], where: str) -> dict[str, Any]:
    """Return plain data as a dict whose keys are all known.

    Args:
        data: what a user wrote.
        valid: the known keys.
        where: what the data are, for the message.

    Raises:
        ConfigError: no mapping, or an unknown key; the message gives the nearest valid one.

    Example:
        >>> check_keys({"mod": "slide"}, ["mode", "stride"], "test_cfg")
        Traceback (most recent call last):
        ...
        ovseg.errors.ConfigError: test_cfg: unknown key 'mod'; to fix: did you mean 'mode'?
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{data!r} is no mapping", where=where, expected="keys and values")
    for key in data:
        if key not in valid:
            raise ConfigError(f"unknown key {key!r}", where=where, fix=_nearest(key, valid) or None)
    return dict(data)


def resolve_type(
    data: Any, table: Mapping[str, Callable[..., T]], where: str
) -> tuple[Callable[..., T], dict[str, Any]]:
    """Look up what the data's `type` names, and check that it takes the other keys.

    Args:
        data: what a user wrote.
        table: what there is, by name.
        where: what the data are, for the message.

    Raises:
        ConfigError: no type, an unknown one, an unknown key, or one that is missing.
    """
    if not isinstance(data, Mapping) or "type" not in data:
        raise ConfigError(
            f"{data!r} names no type", where=where, expected=f"a type: {', '.join(table)}"
        )
    name = data["type"]
    make = table.get(name) if isinstance(name, str) else None
    if make is None:
        raise ConfigError(
            f"unknown type {name!r}",
            where=where,
            expected=f"one of: {', '.join(table)}",
            fix=_nearest(name, list(table)) + _others(table),
        )
    signature = inspect.signature(make)
    arguments = {key: value for key, value in data.items() if key != "type"}
    check_keys(arguments, _argument_names(make), where)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ConfigError(str(error), where=where) from error
    return make, arguments


def build(data: Any, table: Mapping[str, Callable[..., T]], where: str, **parts: object) -> T:
    """Build what the data describe; arguments as for `resolve_type`.

    Args:
        data: what a user wrote.
        table: what there is, by name.
        where: what the data are, for the message.
        **parts: arguments that are no plain data; a class names those it takes in `built_parts`.

    Raises:
        ConfigError: an unknown type or key, or a wrong value.
    """
    make, arguments = resolve_type(data, table, where)
    try:
        return make(**arguments, **parts)
    except TypeError as error:
        raise ConfigError(f"wrong kind of value: {error}", where=where) from error


def to_config(part: object, table: Mapping[str, type]) -> dict[str, Any]:
    """Return the plain data that describe a part which keeps its arguments as attributes.

    Raises:
        ConfigError: it does not keep one.
    """
    kind = next((name for name, each in table.items() if each is type(part)), type(part).__name__)
    names = _argument_names(type(part))
    lost = [name for name in names if not hasattr(part, name)]
    if lost:
        raise ConfigError(
            f"{type(part).__module__}.{type(part).__qualname__} does not keep its argument "
            f"{lost[0]!r}, so results could not name it",
            where=kind,
            fix=f"set self.{lost[0]} = {lost[0]} in __init__",
        )
    return {"type": kind, **{name: getattr(part, name) for name in names}}


def _argument_names(make: Callable[..., Any]) -> list[str]:
    """Names of arguments that are plain data; a class without an `__init__` of its own has none."""
    words = inspect.signature(make).parameters.values()
    built = getattr(make, "built_parts", ())
    stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in words if each.kind not in stars and each.name not in built]


def _others(table: Mapping[str, Any]) -> str:
    """Where names that a table lacks could come from."""
    outside = isinstance(table, Registry)
    return "; one of your own comes with --plugin MODULE, or an import" if outside else ""


def _nearest(name: object, valid: Sequence[str]) -> str:
    close = get_close_matches(str(name), valid, n=1, cutoff=0.0)
    return f"did you mean {close[0]!r}?" if close else ""
