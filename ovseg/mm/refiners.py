"""The refiners of ovseg in mmseg's registry, under the names that configs use."""

from __future__ import annotations

from mmseg.registry import MODELS

from ovseg.pipeline import REFINERS

__all__ = ["register_refiners"]


def register_refiners() -> None:
    """Register every refiner of the pipeline, once."""
    for name, refiner in REFINERS.items():
        if MODELS.get(name) is None:
            MODELS.register_module(name=name, module=refiner)
