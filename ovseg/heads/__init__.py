"""Heads: from windows of a picture to a score for every patch and query; one module a method."""

from ovseg.heads.base import Head, WindowHead, score_picture
from ovseg.registry import HEADS

__all__ = ["Head", "WindowHead", "score_picture"]


def __getattr__(name: str) -> type[Head]:
    """Return a registered head by the name of its class (PEP 562)."""
    return HEADS.class_named(name)
