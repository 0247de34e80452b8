"""Configs of mmengine as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["to_dict"]


def to_dict(config: Any) -> Any:
    """Turn mmengine's mappings into dicts, at every depth, and drop the scopes it adds.

    Example:
        >>> to_dict({"backbone": {"type": "ClipBackbone", "_scope_": "mmseg"}, "sizes": (1, 2)})
        {'backbone': {'type': 'ClipBackbone'}, 'sizes': (1, 2)}
    """
    if isinstance(config, Mapping):
        return {key: to_dict(value) for key, value in config.items() if key != "_scope_"}
    if isinstance(config, (list, tuple)):
        return type(config)(to_dict(value) for value in config)
    return config
