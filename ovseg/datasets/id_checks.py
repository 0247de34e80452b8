"""What a histogram of label ids says about the numbering, without knowing the images.

No official histograms are packaged; these rules know only what each file format must look like.
They give suspicions, not verdicts. `ovseg.datasets.cross_check` compares with what the data set
itself says about its images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ovseg.datasets.cityscapes import TRAIN_IDS
from ovseg.datasets.coco import GAPS
from ovseg.datasets.table import WIDE_IGNORE, Benchmark

__all__ = ["warn_unusual_ids"]

_MANY = 60
"""So many different ids make it telling that certain others never occur."""


def warn_unusual_ids(benchmark: Benchmark, pixels: np.ndarray) -> list[str]:
    """Say in words what looks like another numbering.

    Args:
        benchmark: which one.
        pixels: (65536) how many pixels have each id, as the files have it.

    Returns:
        A sentence a suspicion; none if the numbering looks right.
    """
    if not pixels.any():
        return []
    return [text for rule in (_shifted, _raw, _unlikely) for text in rule(benchmark, pixels)]


def _shifted(benchmark: Benchmark, pixels: np.ndarray) -> Iterator[str]:
    top = benchmark.highest_id
    if not benchmark.reduce_zero:
        if not pixels[0] and pixels[top + 1]:
            yield (
                f"ids run from 1 to {top + 1} where 0 to {top} are right: they are one too high "
                "(train id + 1); subtract 1, or set reduce_zero_label=True"
            )
    # With `reduce_zero` 0 means "no class": the files of VOC, ADE20K and Context all have it.
    elif not pixels[0]:
        yield (
            "no pixel has id 0, which stands for no class: the label maps may have been reduced "
            "already; with reduce_zero_label every class would be one too low"
        )
    elif pixels[255] > pixels[0] and not pixels[top]:
        yield (
            f"more pixels have id 255 than id 0, and none has id {top}: the label maps seem to be "
            "reduced already (id 0 is the first class); set reduce_zero_label=False or get the "
            "original files"
        )


def _raw(benchmark: Benchmark, pixels: np.ndarray) -> Iterator[str]:
    """Ids as the release has them, before `prepare`."""
    if benchmark.root == "coco_stuff164k":
        present = np.flatnonzero(pixels[:182])
        beyond = pixels[benchmark.highest_id + 1 : 182].any()
        gaps = [gap for gap in GAPS if gap <= present.max(initial=0)]
        if beyond or (len(present) >= _MANY and len(gaps) >= 5 and not pixels[gaps].any()):
            why = "some are above the highest class" if beyond else "its unused numbers never occur"
            yield (
                f"ids look like those of COCO's pixel maps, not like train ids: {why}; run "
                f"'ovseg prepare {benchmark.name}' on the original pixel maps"
            )
    if benchmark.name == "cityscapes" and pixels[19 : max(TRAIN_IDS) + 1].any():
        yield (
            "ids between 19 and 33 look like Cityscapes' label ids, not like train ids; run "
            "'ovseg prepare cityscapes'"
        )


def _unlikely(benchmark: Benchmark, pixels: np.ndarray) -> Iterator[str]:
    ignore = benchmark.ignore
    share = 0.0 if ignore is None else pixels[ignore] / pixels.sum()
    if share > 0.5:
        yield f"{share:.0%} of the pixels have id {ignore} and do not count"
    if ignore == WIDE_IGNORE and pixels[255] and not pixels[256:].any():
        yield (
            "no id is above 255, though there are more classes, and none is 65535 (ignore): the "
            "label maps seem to have been saved with 8 bits, so that 255 mixes a class with what "
            "does not count"
        )
    # In VOC and COCO-Object the background is by far the largest class.
    largest = int(np.argmax(pixels[: benchmark.highest_id + 1]))
    if benchmark.name in ("voc21", "coco_object") and largest != 0:
        yield (
            f"class {largest} has more pixels than the background (id 0): the ids may be shifted "
            "or permuted"
        )
