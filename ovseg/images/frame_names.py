"""Names of the results of the frames of an animation or the pages of a TIFF."""

from __future__ import annotations

import os
import re

from ovseg.images.find import Item
from ovseg.utils.files import safe_name

__all__ = ["apart_from_frames", "frame_name"]

_FRAME = re.compile(r"\.frame\d{4,}$")


def frame_name(name: str, index: int) -> str:
    """Return the name of one frame's results.

    Example:
        >>> frame_name("x/waves", 3)
        'x/waves.frame0003'
    """
    return f"{name}.frame{index:04d}"


def apart_from_frames(item: Item) -> Item:
    """Let a file that is called like a frame keep its extension, so that the two never meet.

    Example:
        >>> apart_from_frames(Item("in/waves.frame0003.png", "waves.frame0003")).name
        'waves.frame0003.png'
    """
    if not _FRAME.search(item.name):
        return item
    return Item(item.path, safe_name(item.name + os.path.splitext(item.path)[1]))
