"""Sizes of tensors as pairs, which a slice of a shape is not to a type checker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["size_of"]


def size_of(maps: Tensor) -> tuple[int, int]:
    """Return (H, W) of maps (..., H, W)."""
    height, width = maps.shape[-2:]
    return height, width
