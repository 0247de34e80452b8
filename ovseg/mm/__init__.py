"""The one adapter of ovseg to mmseg and mmengine.

Naming it in a config registers everything: `custom_imports = dict(imports=["ovseg.mm"])`. The first
line comes before anything of mmseg is imported: mmcv's operators get their stand-in.
"""

from __future__ import annotations

from typing import Any

from ovseg.mm import mmcv_ext

mmcv_ext.install()

import ovseg.mm.checkpoints  # noqa: E402 - takes the place of mmengine's loaders of files
import ovseg.mm.training  # noqa: E402, F401 - registers loops and hooks
from ovseg.mm.backbone import ClipBackbone, ClipFeatures, ClipTokenBackbone  # noqa: E402
from ovseg.mm.data import benchmarks  # noqa: E402
from ovseg.mm.data.augment import ImageCrop  # noqa: E402
from ovseg.mm.data.benchmarks import *  # noqa: E402, F403 - a name for each benchmark
from ovseg.mm.data.image_folder import ImageFolderDataset, LoadImage  # noqa: E402
from ovseg.mm.data.labels import LoadLabels  # noqa: E402
from ovseg.mm.data.scenes import SceneDataset  # noqa: E402
from ovseg.mm.metrics import OpenVocabIoUMetric  # noqa: E402
from ovseg.mm.registered import find_registered, follow_registries  # noqa: E402
from ovseg.mm.segmentor import OpenVocabSegmentor  # noqa: E402
from ovseg.mm.testing.hooks import OverlayHook, TestProgressHook, WordsOnceHook  # noqa: E402
from ovseg.mm.training.declip import AveragedWeightsHook, PackRegions, RegionTransform  # noqa: E402
from ovseg.mm.training.mask_adaptation import (  # noqa: E402
    ClipContrastiveModel,
    LoadRegion,
    MaskTextPairDataset,
    RandomRegionCrop,
)
from ovseg.mm.training.maskclip_plus import DeepLabV2Head, MaskClipPlus, MaskClipPlusHead  # noqa: E402
from ovseg.mm.training.maskformer import MaskFormerModel  # noqa: E402
from ovseg.registry import HEADS, REFINERS  # noqa: E402

follow_registries()

__all__ = [
    *HEADS,
    *REFINERS,
    *benchmarks.__all__,
    "ImageCrop",
    "ImageFolderDataset",
    "AveragedWeightsHook",
    "ClipBackbone",
    "ClipFeatures",
    "ClipTokenBackbone",
    "DeepLabV2Head",
    "LoadLabels",
    "LoadImage",
    "LoadRegion",
    "ClipContrastiveModel",
    "MaskFormerModel",
    "MaskTextPairDataset",
    "RandomRegionCrop",
    "MaskClipPlus",
    "MaskClipPlusHead",
    "OpenVocabIoUMetric",
    "OpenVocabSegmentor",
    "OverlayHook",
    "PackRegions",
    "RegionTransform",
    "SceneDataset",
    "TestProgressHook",
    "WordsOnceHook",
]


def __getattr__(name: str) -> Any:
    """Return a registered head or refiner, those of plug-ins too, as mmseg builds it (PEP 562)."""
    return find_registered(name)
