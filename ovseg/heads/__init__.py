"""Heads: from windows of an image to a score for every patch and prompt; one module a method."""

from ovseg.heads.base import Head, WindowHead, score_image
from ovseg.registry import HEADS

__all__ = ["Head", "WindowHead", "score_image"]


def __getattr__(name: str) -> type[Head]:
    """Return a registered head by the name of its class (PEP 562)."""
    return HEADS.class_named(name)
