"""Images: reading them in one place for every code path, and finding them in folders."""

from __future__ import annotations

from ovseg.images.find import ImageFinder, Item, find_images
from ovseg.images.options import LoadedImage, ReadOptions
from ovseg.images.read import ImageSource, read_frames, read_image

__all__ = [
    "Item",
    "LoadedImage",
    "ImageFinder",
    "ImageSource",
    "ReadOptions",
    "find_images",
    "read_frames",
    "read_image",
]
