"""The one adapter of ovseg to mmseg and mmengine.

Naming it in a config registers everything: `custom_imports = dict(imports=["ovseg.mm"])`. The first
two lines come before anything of mmseg is imported: mmcv's operators get their stand-in, and
mmengine's checkpoints their list of safe contents.
"""

from __future__ import annotations

from ovseg.mm import mmcv_ext, safe_load

mmcv_ext.install()
safe_load.allow_runner_checkpoints()

from ovseg.mm.backbone import ClipBackbone, ClipFeatures  # noqa: E402
from ovseg.mm.datasets import SceneDataset  # noqa: E402
from ovseg.mm.heads import MaskClipHead  # noqa: E402
from ovseg.mm.labels import LoadLabels  # noqa: E402
from ovseg.mm.refiners import register_refiners  # noqa: E402
from ovseg.mm.segmentor import OpenVocabSegmentor  # noqa: E402

register_refiners()

__all__ = [
    "ClipBackbone",
    "ClipFeatures",
    "LoadLabels",
    "MaskClipHead",
    "OpenVocabSegmentor",
    "SceneDataset",
]
