"""The synthetic world: scenes with exact labels and true captions, made of nothing but code.

A scene is a pure function of a seed and a size. Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "CLASSES": "world",
    "MAX_SEED": "world",
    "PALETTE": "world",
    "SPLITS": "world",
    "VERSION": "world",
    "SceneRegion": "world",
    "Scene": "world",
    "draw_scene": "world",
    "Caption": "captions",
    "glossary": "captions",
    "region_caption": "captions",
    "scene_caption": "captions",
    "truth": "captions",
    "write_scenes": "write",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Loads a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
