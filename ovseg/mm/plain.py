"""Configs of mmengine as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["plain"]


def plain(config: Any) -> Any:
    """Turn mmengine's mappings into dicts, at every depth, and drop the scopes it adds.

    Example:
        >>> plain({"backbone": {"type": "ClipBackbone", "_scope_": "mmseg"}, "sizes": (1, 2)})
        {'backbone': {'type': 'ClipBackbone'}, 'sizes': (1, 2)}
    """
    if isinstance(config, Mapping):
        return {key: plain(value) for key, value in config.items() if key != "_scope_"}
    if isinstance(config, (list, tuple)):
        return type(config)(plain(value) for value in config)
    return config
