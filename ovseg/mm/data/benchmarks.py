"""The benchmarks that mmseg lacks, as data sets of mmseg, made of the table of benchmarks.

`ADE20KDataset` and `CityscapesDataset` are mmseg's own. Where it has a similar one under another
name (`PascalVOCDataset`, `PascalContextDataset59`, `COCOStuffDataset`, ...), ours differs in that
it says in words what is missing, and gives `LoadLabels` what it needs to check every id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import mmseg.datasets
from mmseg.datasets import (
    BaseSegDataset,
    COCOStuffDataset,
    PascalContextDataset,
    PascalVOCDataset,
)
from mmseg.registry import DATASETS

from ovseg.datasets import BENCHMARKS, Benchmark
from ovseg.datasets.pairs import check_class_order, find_pairs, missing_root
from ovseg.errors import ConfigError
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.visualize.palette import distinct_colors


class BenchmarkDataset(BaseSegDataset):
    """What the benchmarks share; a subclass names its row of `ovseg.datasets.BENCHMARKS`.

    Suffixes, folders, split, ignore id and `reduce_zero_label` come from that row unless they are
    given.

    Args:
        allow_missing: leave out images that lack their label map in place of refusing them;
            `missing` of the metainfo then has their number.
        **kwargs: further arguments of mmseg's `BaseSegDataset` (`data_root`, `pipeline`, ...).

    Raises:
        DatasetError: the files are not there, or images and label maps do not match.
        ConfigError: other classes are asked for than the label maps have.
    """

    BENCHMARK: ClassVar[Benchmark]

    def __init__(self, allow_missing: bool = False, **kwargs: Any) -> None:
        row = self.BENCHMARK
        self.allow_missing = allow_missing
        kwargs.setdefault("img_suffix", row.image_suffix)
        kwargs.setdefault("seg_map_suffix", row.label_suffix)
        kwargs.setdefault("reduce_zero_label", row.reduce_zero)
        kwargs.setdefault("ignore_index", 255 if row.ignore is None else row.ignore)
        kwargs.setdefault("ann_file", row.split or "")
        kwargs.setdefault("data_prefix", {"img_path": row.images, "seg_map_path": row.labels})
        super().__init__(**kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """Refuse the classes in another order; fewer classes are mapped as mmseg does."""
        classes = cls.METAINFO["classes"]
        if new_classes is not None and len(new_classes) == len(classes):
            check_class_order(classes, new_classes, where=f"{cls.__name__}.metainfo.classes")
        elif new_classes is not None and len(classes) > 255:
            raise ConfigError(
                f"{len(new_classes)} of {len(classes)} classes are asked for",
                where=f"{cls.__name__}.metainfo.classes",
                expected="all classes: mmseg marks the others with 255, which is a class here",
            )
        return super().get_label_map(new_classes)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the items that are complete, each with what `LoadLabels` has to know."""
        images, labels = (Path(self.data_prefix[key]) for key in ("img_path", "seg_map_path"))
        root = Path(self.data_root) if self.data_root is not None else images
        if not images.is_dir() or not labels.is_dir():
            raise missing_root(
                self.BENCHMARK, next(path for path in (root, images, labels) if not path.is_dir())
            )
        split = Path(self.ann_file) if self.ann_file else None
        pairs = find_pairs(images, labels, (self.img_suffix, self.seg_map_suffix), split)
        pairs.require(root, allow_missing=self.allow_missing)
        self._metainfo["missing"] = pairs.missing
        return [
            {
                "img_path": str(images / f"{name}{self.img_suffix}"),
                "seg_map_path": str(labels / f"{name}{self.seg_map_suffix}"),
                "label_map": self.label_map,
                "reduce_zero_label": self.reduce_zero_label,
                "seg_fields": [],
                "num_classes": len(self.METAINFO["classes"]),
                "ignore_index": self.ignore_index,
            }
            for name in pairs.complete
        ]


_STUFF = COCOStuffDataset.METAINFO["palette"]
_VOC = PascalVOCDataset.METAINFO["palette"]
_CONTEXT = PascalContextDataset.METAINFO["palette"]
_PALETTES = {
    "coco_stuff164k": _STUFF,
    "coco_object": [[0, 0, 0], *_STUFF[:80]],
    "voc20": _VOC[1:],
    "voc21": _VOC,
    "context59": _CONTEXT[1:],
    "context60": _CONTEXT,
}
"""Colors that are mmseg's; other benchmarks get colors of our own."""


def _make(row: Benchmark) -> type[BenchmarkDataset]:
    """Make and register the data set of a benchmark."""
    classes = Vocabulary.builtin(row.name).classes
    palette = _PALETTES.get(row.name) or distinct_colors(len(classes))
    counts = "every pixel counts" if row.ignore is None else f"{row.ignore} does not count"
    content = {
        "__doc__": f"{row.title}, label maps `*{row.label_suffix}`; {counts}.",
        "__module__": __name__,
        "BENCHMARK": row,
        "METAINFO": {"classes": classes, "palette": [list(color) for color in palette]},
    }
    return DATASETS.register_module(module=type(row.dataset, (BenchmarkDataset,), content))


_KINDS = {
    row.dataset: _make(row)
    for row in BENCHMARKS.values()
    if not hasattr(mmseg.datasets, row.dataset)
}
globals().update(_KINDS)  # so that they can be imported, and pickled for workers
__all__ = ["BenchmarkDataset", *_KINDS]
