"""Heads: from windows of a picture to a score for every patch and query."""

from ovseg.heads.base import Head, WindowHead
from ovseg.heads.clip_dinoiser import ClipDinoiser
from ovseg.heads.declip import DeClip
from ovseg.heads.maskclip import MaskClip
from ovseg.heads.trident import Trident

__all__ = ["ClipDinoiser", "DeClip", "Head", "MaskClip", "Trident", "WindowHead"]
