"""Padding that lies around an image, as DeCLIP's segmentation has it."""

from __future__ import annotations

__all__ = ["margins_around"]

MULTIPLE = 16


def margins_around(length: int) -> tuple[int, int]:
    """Pixels before and after a side that make it a multiple of 16, whatever the patch.

    Example:
        >>> margins_around(333)
        (1, 2)
    """
    rest = -length % MULTIPLE
    return rest // 2, rest - rest // 2
