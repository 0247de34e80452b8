"""Refiners: sharpen a decoded label map with the picture."""

from ovseg.refine.base import Maps, Refiner
from ovseg.refine.pamr import Pamr
from ovseg.refine.sam import SamRefiner

__all__ = ["Maps", "Pamr", "Refiner", "SamRefiner"]
