"""Training on mmengine's Runner: exact resume, safe files, honest stops.

Importing this room registers its loops, hooks and optimiser wrapper, so that a config names them
and mmseg's own tools train with them too.
"""

from __future__ import annotations

from ovseg.mm.training.amp import CpuAmpOptimWrapper
from ovseg.mm.training.hooks import FiniteLossHook, SkippedPicturesHook, TeachersHook
from ovseg.mm.training.log import TrainingLogHook
from ovseg.mm.training.loops import ResumableEpochLoop, ResumableIterLoop
from ovseg.mm.training.saving import SafeCheckpointHook
from ovseg.mm.training.seeded import DrawSampler, SeededDataset

__all__ = [
    "CpuAmpOptimWrapper",
    "DrawSampler",
    "FiniteLossHook",
    "ResumableEpochLoop",
    "ResumableIterLoop",
    "SafeCheckpointHook",
    "SeededDataset",
    "SkippedPicturesHook",
    "TeachersHook",
    "TrainingLogHook",
]
