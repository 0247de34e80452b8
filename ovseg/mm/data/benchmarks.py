"""The benchmarks that mmseg lacks, as data sets of mmseg.

`ADE20KDataset` and `CityscapesDataset` are mmseg's own. Where it has a similar one under another
name (`PascalVOCDataset`, `PascalContextDataset59`, `COCOStuffDataset`, ...), ours differs in that
it says in words what is missing, and gives `LoadLabels` what it needs to check every id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

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
from ovseg.visualize.palette import distinct_colours

__all__ = [
    "ADE20K847Dataset",
    "BenchmarkDataset",
    "COCOObjectDataset",
    "COCOStuff164kDataset",
    "PascalContext59Dataset",
    "PascalContext60Dataset",
    "PascalContext459Dataset",
    "PascalVOC20Dataset",
    "PascalVOC21Dataset",
]


def _metainfo(name: str, palette: Sequence[Sequence[int]] | None = None) -> dict[str, Any]:
    """Classes of a built-in vocabulary and their colours."""
    classes = Vocabulary.builtin(name).classes
    colours = distinct_colours(len(classes)) if palette is None else palette
    return {"classes": classes, "palette": [list(colour) for colour in colours]}


class BenchmarkDataset(BaseSegDataset):
    """What the benchmarks share; a subclass names its row of `ovseg.datasets.BENCHMARKS`.

    Suffixes, folders, split, ignore id and `reduce_zero_label` come from that row unless they are
    given.

    Args:
        allow_missing: leave out pictures that lack their label map in place of refusing them;
            `missing` of the metainfo then has their number.
        **kwargs: further arguments of mmseg's `BaseSegDataset` (`data_root`, `pipeline`, ...).

    Raises:
        DatasetError: the files are not there, or pictures and label maps do not match.
        ConfigError: other classes are asked for than the label maps have.
    """

    BENCHMARK: ClassVar[Benchmark]

    def __init__(self, allow_missing: bool = False, **kwargs: Any) -> None:
        row = self.BENCHMARK
        self.allow_missing = allow_missing
        kwargs.setdefault("img_suffix", row.picture_suffix)
        kwargs.setdefault("seg_map_suffix", row.label_suffix)
        kwargs.setdefault("reduce_zero_label", row.reduce_zero)
        kwargs.setdefault("ignore_index", 255 if row.ignore is None else row.ignore)
        kwargs.setdefault("ann_file", row.split or "")
        kwargs.setdefault("data_prefix", {"img_path": row.pictures, "seg_map_path": row.labels})
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
        pictures, labels = (Path(self.data_prefix[key]) for key in ("img_path", "seg_map_path"))
        root = Path(self.data_root) if self.data_root is not None else pictures
        if not pictures.is_dir() or not labels.is_dir():
            raise missing_root(
                self.BENCHMARK, next(path for path in (root, pictures, labels) if not path.is_dir())
            )
        split = Path(self.ann_file) if self.ann_file else None
        pairs = find_pairs(pictures, labels, (self.img_suffix, self.seg_map_suffix), split)
        pairs.require(root, allow_missing=self.allow_missing)
        self._metainfo["missing"] = pairs.missing
        return [
            {
                "img_path": str(pictures / f"{name}{self.img_suffix}"),
                "seg_map_path": str(labels / f"{name}{self.seg_map_suffix}"),
                "label_map": self.label_map,
                "reduce_zero_label": self.reduce_zero_label,
                "seg_fields": [],
                "num_classes": len(self.METAINFO["classes"]),
                "ignore_index": self.ignore_index,
            }
            for name in pairs.complete
        ]


@DATASETS.register_module()
class ADE20K847Dataset(BenchmarkDataset):
    """ADE20K-full: 847 classes in 16-bit TIFF label maps, 65535 for ignore.

    The label maps are what `ovseg prepare ade847` makes of the release 2021_17_01.
    """

    BENCHMARK = BENCHMARKS["ade847"]
    METAINFO = _metainfo("ade847")


@DATASETS.register_module()
class COCOStuff164kDataset(BenchmarkDataset):
    """COCO-Stuff 164k: 171 classes, `_labelTrainIds.png`, ids 0 to 170 in mmseg's order."""

    BENCHMARK = BENCHMARKS["coco_stuff164k"]
    METAINFO = _metainfo("coco_stuff164k", COCOStuffDataset.METAINFO["palette"])


@DATASETS.register_module()
class COCOObjectDataset(BenchmarkDataset):
    """COCO-Object: `_instanceTrainIds.png`, 0 is the background (stuff too), 1 to 80 are things.

    Every pixel counts. What `ovseg prepare coco_object` makes of COCO-Stuff's pixel maps.
    """

    BENCHMARK = BENCHMARKS["coco_object"]
    METAINFO = _metainfo("coco_object", [[0, 0, 0], *COCOStuffDataset.METAINFO["palette"][:80]])


@DATASETS.register_module()
class PascalVOC20Dataset(BenchmarkDataset):
    """Pascal VOC 2012, 20 objects: the background does not count."""

    BENCHMARK = BENCHMARKS["voc20"]
    METAINFO = _metainfo("voc20", PascalVOCDataset.METAINFO["palette"][1:])


@DATASETS.register_module()
class PascalVOC21Dataset(BenchmarkDataset):
    """Pascal VOC 2012, 20 objects and the background as class 0."""

    BENCHMARK = BENCHMARKS["voc21"]
    METAINFO = _metainfo("voc21", PascalVOCDataset.METAINFO["palette"])


@DATASETS.register_module()
class PascalContext59Dataset(BenchmarkDataset):
    """Pascal Context, 59 classes: the background does not count."""

    BENCHMARK = BENCHMARKS["context59"]
    METAINFO = _metainfo("context59", PascalContextDataset.METAINFO["palette"][1:])


@DATASETS.register_module()
class PascalContext60Dataset(BenchmarkDataset):
    """Pascal Context, 59 classes and the background as class 0."""

    BENCHMARK = BENCHMARKS["context60"]
    METAINFO = _metainfo("context60", PascalContextDataset.METAINFO["palette"])


@DATASETS.register_module()
class PascalContext459Dataset(BenchmarkDataset):
    """Pascal Context, all 459 classes in 16-bit TIFF label maps, 65535 for ignore.

    The label maps are what `ovseg prepare context459` makes of the `.mat` files.
    """

    BENCHMARK = BENCHMARKS["context459"]
    METAINFO = _metainfo("context459")
