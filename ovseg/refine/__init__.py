"""Refiners: sharpen a decoded label map with the picture."""

from ovseg.refine.base import Maps, Refiner
from ovseg.refine.pamr import Pamr

__all__ = ["Maps", "Pamr", "Refiner"]
