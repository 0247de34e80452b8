"""The benchmarks in one table: where their files lie, what ids mean, how many images count."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ovseg.errors import ConfigError
from ovseg.registry import head_methods

__all__ = ["BENCHMARKS", "Benchmark", "find_benchmark"]

WIDE_IGNORE = 65_535
"""Id of pixels that do not count where 255 is a class: in 16-bit label maps."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark's validation split: files, label rule, size and class lists.

    Attributes:
        name: as in the names of configurations, and of its plain built-in vocabulary.
        title: as papers write it.
        dataset: the data set type of mmseg that reads it.
        num_classes: number of classes that are scored, the background included where it is one.
        expected: official numbers of images; two where two lists are in circulation.
        root: its folder under `data/`.
        images: folder of the images under `root`.
        labels: folder of the label maps under `root`.
        image_suffix: what an image's file name has after the item's name.
        label_suffix: what a label map's file name has after the item's name.
        split: file under `root` that lists the items, or None: all images of the folder.
        reduce_zero: id 0 in the files does not count, and class k has id k + 1.
        ignore: id in the files of pixels that do not count, or None: every pixel counts.
        background: class 0 is the background.
        lists: built-in vocabulary of a method where it is not the plain one.
    """

    name: str
    title: str
    dataset: str
    num_classes: int
    expected: tuple[int, ...]
    root: str
    images: str
    labels: str
    image_suffix: str = ".jpg"
    label_suffix: str = ".png"
    split: str | None = None
    reduce_zero: bool = False
    ignore: int | None = 255
    background: bool = False
    lists: Mapping[str, str] = field(default_factory=dict)

    @property
    def highest_id(self) -> int:
        """Highest class id that a label map may hold."""
        return self.num_classes if self.reduce_zero else self.num_classes - 1

    def vocabulary(self, method: str) -> str:
        """Return the name of the built-in list that a method asks on this benchmark.

        Where a method published no list for it, that is the plain one (Trident's).

        Args:
            method: one of `ovseg.registry.head_methods`.

        Raises:
            ConfigError: no such method.

        Example:
            >>> find_benchmark("voc20").vocabulary("maskclip")
            'voc20_maskclip'
        """
        if method not in self.lists and method not in head_methods():
            raise ConfigError(
                f"unknown method {method!r}", expected=f"one of {', '.join(head_methods())}"
            )
        return self.lists.get(method, self.name)

    def is_complete(self, count: int) -> bool:
        """Tell whether so many images are the official split; otherwise a result is partial."""
        return count in self.expected


def _lists(
    name: str, *, maskclip: str = "", dinoiser: str = "mmseg", ovseg: bool = True
) -> dict[str, str]:
    """Name the lists of methods that have their own; DeCLIP and Trident ask the plain one."""
    lists = {"clip_dinoiser": f"{name}_{dinoiser}"}
    if maskclip:
        lists["maskclip"] = f"{name}_{maskclip}"
    if ovseg:
        lists["mask_adapted"] = f"{name}_ovseg"
    return lists


# Blocks of a few lines keep a row in sight.
# fmt: off
_STUFF = Benchmark(
    "coco_stuff164k", "COCO-Stuff 164k (171 classes)", "COCOStuff164kDataset", 171, (5000,),
    root="coco_stuff164k", images="images/val2017", labels="annotations/val2017",
    label_suffix="_labelTrainIds.png", lists=_lists("coco_stuff164k", maskclip="maskclip"),
)
_VOC20 = Benchmark(
    "voc20", "Pascal VOC 2012 (20 objects)", "PascalVOC20Dataset", 20, (1449,),
    root="VOCdevkit/VOC2012", images="JPEGImages", labels="SegmentationClass", reduce_zero=True,
    split="ImageSets/Segmentation/val.txt",
    lists=_lists("voc20", maskclip="maskclip", dinoiser="clip_dinoiser"),
)
_CONTEXT59 = Benchmark(
    "context59", "Pascal Context (59 classes)", "PascalContext59Dataset", 59, (5105, 5104),
    root="VOCdevkit/VOC2010", images="JPEGImages", labels="SegmentationClassContext",
    reduce_zero=True, split="ImageSets/SegmentationContext/val.txt",
    lists=_lists("context59", maskclip="maskclip", dinoiser="clip_dinoiser"),
)
_TABLE = (
    Benchmark(
        "ade20k", "ADE20K (150 classes)", "ADE20KDataset", 150, (2000,),
        root="ade/ADEChallengeData2016", images="images/validation",
        labels="annotations/validation", reduce_zero=True, lists=_lists("ade20k", maskclip="mmseg"),
    ),
    Benchmark(
        "ade847", "ADE20K-full (847 classes)", "ADE20K847Dataset", 847, (2000,),
        root="ade/ADE20K_2021_17_01", images="images_detectron2/validation",
        labels="annotations_detectron2/validation", label_suffix=".tif", ignore=WIDE_IGNORE,
        lists={"mask_adapted": "ade847_ovseg"},
    ),
    _STUFF,
    replace(
        _STUFF, name="coco_object", title="COCO-Object (background and 80 things)",
        dataset="COCOObjectDataset", num_classes=81, label_suffix="_instanceTrainIds.png",
        ignore=None, background=True,
        lists=_lists("coco_object", dinoiser="clip_dinoiser", ovseg=False),
    ),
    Benchmark(
        "cityscapes", "Cityscapes (19 classes)", "CityscapesDataset", 19, (500,),
        root="cityscapes", images="leftImg8bit/val", labels="gtFine/val",
        image_suffix="_leftImg8bit.png", label_suffix="_gtFine_labelTrainIds.png",
        lists=_lists("cityscapes", maskclip="mmseg", ovseg=False),
    ),
    _VOC20,
    replace(
        _VOC20, name="voc21", title="Pascal VOC 2012 (background and 20 objects)",
        dataset="PascalVOC21Dataset", num_classes=21, reduce_zero=False, background=True,
        lists=_lists("voc21", dinoiser="clip_dinoiser", ovseg=False),
    ),
    _CONTEXT59,
    replace(
        _CONTEXT59, name="context60", title="Pascal Context (background and 59 classes)",
        dataset="PascalContext60Dataset", num_classes=60, reduce_zero=False, background=True,
        lists=_lists("context60", dinoiser="clip_dinoiser", ovseg=False),
    ),
    replace(
        _CONTEXT59, name="context459", title="Pascal Context (459 classes)",
        dataset="PascalContext459Dataset", num_classes=459, reduce_zero=False,
        labels="annotations_detectron2/pc459_val", label_suffix=".tif", ignore=WIDE_IGNORE,
        lists={"mask_adapted": "context459_ovseg"},
    ),
)
# fmt: on

BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in _TABLE}
"""The benchmarks by name."""


def find_benchmark(name: str) -> Benchmark:
    """Find a benchmark by its name or by its data set type.

    Args:
        name: such as "voc20" or "PascalVOC20Dataset"; case and `-` for `_` do not matter.

    Raises:
        ConfigError: no such benchmark; it names the closest.

    Example:
        >>> find_benchmark("PascalVOC20Dataset").expected
        (1449,)
    """
    key = name.strip().lower().replace("-", "_")
    for benchmark in _TABLE:
        if key in (benchmark.name, benchmark.dataset.lower()):
            return benchmark
    near = difflib.get_close_matches(key, BENCHMARKS, n=2, cutoff=0.5)
    raise ConfigError(
        f"unknown data set {name!r}",
        expected=f"perhaps {', '.join(near)}" if near else f"one of {', '.join(BENCHMARKS)}",
        fix=f"the names are {', '.join(BENCHMARKS)}" if near else None,
    )
