"""Refiners: sharpen a decoded label map with the image."""

from ovseg.refine.base import Maps, Refiner
from ovseg.registry import REFINERS

__all__ = ["Maps", "Refiner"]


def __getattr__(name: str) -> type[Refiner]:
    """Return a registered refiner by the name of its class (PEP 562)."""
    return REFINERS.class_named(name)
