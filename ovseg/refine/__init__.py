"""Refiners: sharpen a decoded label map with the picture."""

from ovseg.refine.base import Maps, Refiner
from ovseg.refine.pamr import Pamr
from ovseg.refine.sam import SamRefiner

__all__ = ["REFINERS", "Maps", "Pamr", "Refiner", "SamRefiner"]

REFINERS: dict[str, type[Refiner]] = {"PamrRefiner": Pamr, "SamRefiner": SamRefiner}
"""Refiners by the names that configurations use."""
