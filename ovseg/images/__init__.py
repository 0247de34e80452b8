"""Pictures: reading them in one place for every code path, and finding them in folders."""

from __future__ import annotations

from ovseg.images.find import Item, PictureFinder, find_pictures
from ovseg.images.options import Picture, ReadOptions
from ovseg.images.read import PictureSource, read_frames, read_picture

__all__ = [
    "Item",
    "Picture",
    "PictureFinder",
    "PictureSource",
    "ReadOptions",
    "find_pictures",
    "read_frames",
    "read_picture",
]
