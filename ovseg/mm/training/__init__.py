"""Training on mmengine's Runner: exact resume, safe files, honest stops.

Importing this room registers its loops, hooks and optimizer wrapper, so that a config names them
and mmseg's own tools train with them too.
"""

from __future__ import annotations

from ovseg.mm.training.amp import CpuAmpOptimWrapper
from ovseg.mm.training.hooks import FiniteLossHook, SkippedImagesHook, TeachersHook
from ovseg.mm.training.log import TrainingLogHook
from ovseg.mm.training.loops import ResumableEpochLoop, ResumableIterLoop
from ovseg.mm.training.saving import SafeCheckpointHook
from ovseg.mm.training.seeded import PositionedSampler, SeededDataset

__all__ = [
    "CpuAmpOptimWrapper",
    "PositionedSampler",
    "FiniteLossHook",
    "ResumableEpochLoop",
    "ResumableIterLoop",
    "SafeCheckpointHook",
    "SeededDataset",
    "SkippedImagesHook",
    "TeachersHook",
    "TrainingLogHook",
]
