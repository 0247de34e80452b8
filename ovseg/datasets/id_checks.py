"""What a histogram of label ids says about the numbering, without knowing the pictures.

No official histograms are packaged; these rules know only what each file format must look like.
They give suspicions, not verdicts. `ovseg.datasets.cross_check` compares with what the data set
itself says about its pictures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ovseg.datasets.cityscapes import TRAIN_IDS
from ovseg.datasets.coco import GAPS
from ovseg.datasets.table import WIDE_IGNORE, Benchmark

__all__ = ["suspicions"]

_MANY = 60
"""So many different ids make it telling that certain others never occur."""


def suspicions(benchmark: Benchmark, pixels: np.ndarray) -> list[str]:
    """Say in words what looks like another numbering.

    Args:
        benchmark: which one.
        pixels: (65536) how many pixels have each id, as the files have it.

    Returns:
        A sentence a suspicion; none if the numbering looks right.
    """
    if not pixels.any():
        return []
    return [text for rule in _RULES if (text := rule(benchmark, pixels))]


def _one_too_high(benchmark: Benchmark, pixels: np.ndarray) -> str | None:
    top = benchmark.highest_id
    if benchmark.reduce_zero or pixels[0] or not pixels[top + 1]:
        return None
    return (
        f"ids run from 1 to {top + 1} where 0 to {top} are right: they are one too high (train id "
        "+ 1); subtract 1, or set reduce_zero_label=True"
    )


def _reduced_already(benchmark: Benchmark, pixels: np.ndarray) -> str | None:
    """With `reduce_zero` 0 means "no class": the files of VOC, ADE20K and Context all have it."""
    if not benchmark.reduce_zero:
        return None
    if not pixels[0]:
        return (
            "no pixel has id 0, which stands for no class: the label maps may have been reduced "
            "already; with reduce_zero_label every class would be one too low"
        )
    if pixels[255] > pixels[0] and not pixels[benchmark.highest_id]:
        return (
            f"more pixels have id 255 than id 0, and none has id {benchmark.highest_id}: the label "
            "maps seem to be reduced already (id 0 is the first class); set "
            "reduce_zero_label=False or get the original files"
        )
    return None


def _mostly_ignored(benchmark: Benchmark, pixels: np.ndarray) -> str | None:
    if benchmark.ignore is None:
        return None
    share = pixels[benchmark.ignore] / pixels.sum()
    if share <= 0.5:
        return None
    return f"{share:.0%} of the pixels have id {benchmark.ignore} and do not count"


def _raw_coco(benchmark: Benchmark, pixels: np.ndarray) -> str | None:
    if benchmark.name not in ("coco_stuff164k", "coco_object"):
        return None
    present = np.flatnonzero(pixels[:182])
    beyond = pixels[benchmark.highest_id + 1 : 182].any()
    gaps = [gap for gap in GAPS if gap <= present.max(initial=0)]
    gapped = len(present) >= _MANY and len(gaps) >= 5 and not pixels[gaps].any()
    if not (beyond or gapped):
        return None
    return (
        "ids look like those of COCO's pixel maps, not like train ids: "
        + ("some are above the highest class" if beyond else "COCO's unused numbers never occur")
        + f"; run 'ovseg prepare {benchmark.name}' on the original pixel maps"
    )


def _raw_cityscapes(benchmark: Benchmark, pixels: np.ndarray) -> str | None:
    if benchmark.name != "cityscapes" or not pixels[19 : max(TRAIN_IDS) + 1].any():
        return None
    return (
        "ids between 19 and 33 look like Cityscapes' label ids, not like train ids; run "
        "'ovseg prepare cityscapes'"
    )


def _narrow_ignore(benchmark: Benchmark, pixels: np.ndarray) -> str | None:
    if benchmark.ignore != WIDE_IGNORE or pixels[WIDE_IGNORE] or not pixels[255]:
        return None
    if pixels[256:].any():
        return None
    return (
        "no id is above 255, though there are more classes, and none is 65535 (ignore): the label "
        "maps seem to have been saved with 8 bits, so that 255 mixes a class with what does not "
        "count"
    )


def _background_is_rare(benchmark: Benchmark, pixels: np.ndarray) -> str | None:
    """In VOC and COCO-Object the background is by far the largest class."""
    if benchmark.name not in ("voc21", "coco_object"):
        return None
    if pixels[0] >= pixels[1 : benchmark.highest_id + 1].max():
        return None
    largest = int(np.argmax(pixels[1 : benchmark.highest_id + 1])) + 1
    return (
        f"class {largest} has more pixels than the background (id 0): the ids may be shifted or "
        "permuted"
    )


_RULES: tuple[Callable[[Benchmark, np.ndarray], str | None], ...] = (
    _one_too_high,
    _reduced_already,
    _mostly_ignored,
    _raw_coco,
    _raw_cityscapes,
    _narrow_ignore,
    _background_is_rare,
)
