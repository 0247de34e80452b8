"""Heads: from windows of a picture to a score for every patch and query."""

from ovseg.heads.base import Head, WindowHead, score_picture
from ovseg.heads.clip_dinoiser import ClipDinoiser
from ovseg.heads.declip import DeClip
from ovseg.heads.mask_adapted import MaskAdaptedClip
from ovseg.heads.maskclip import MaskClip
from ovseg.heads.trident import Trident

__all__ = [
    "HEADS",
    "ClipDinoiser",
    "DeClip",
    "Head",
    "MaskAdaptedClip",
    "MaskClip",
    "Trident",
    "WindowHead",
    "score_picture",
]

HEADS: dict[str, type[Head]] = {
    "MaskClipHead": MaskClip,
    "ClipDinoiserHead": ClipDinoiser,
    "DeClipHead": DeClip,
    "TridentHead": Trident,
    "MaskAdaptedClipHead": MaskAdaptedClip,
}
"""Heads by the names that configurations use."""
