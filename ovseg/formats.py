"""The names of what a result can be written as; light, for the command line's help."""

from __future__ import annotations

__all__ = ["FORMATS"]

FORMATS = ("label", "palette", "overlay", "coco")
"""What `ovseg.segmentation.Segmentation.save` can write."""
