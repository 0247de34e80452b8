"""COCO-Stuff's pixel maps become train ids (171 classes) and COCO-Object's ids (81).

The pixel maps (`stuffthingmaps_trainval2017`) hold COCO's category number minus 1, 255 for
unlabeled. COCO's 182 numbers have 11 gaps: categories that were planned and never annotated.
"""

from __future__ import annotations

from pathlib import Path

from ovseg.datasets.conversion import Job, Relabel

__all__ = ["GAPS", "RAW_TO_TRAIN", "object_jobs", "stuff_jobs"]

GAPS = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
"""Ids that no pixel of the pixel maps has."""

THINGS = 80
RAW_TO_TRAIN = {
    raw: train for train, raw in enumerate(raw for raw in range(182) if raw not in GAPS)
}
"""Id of the pixel maps to train id, mmseg's order: 80 things, then 91 kinds of stuff."""

_TO_STUFF = Relabel({**RAW_TO_TRAIN, 255: 255}, "COCO-Stuff's pixel maps (0 to 181, 255)")
_TO_OBJECT = Relabel(
    {
        **{raw: train + 1 if train < THINGS else 0 for raw, train in RAW_TO_TRAIN.items()},
        255: 0,
    },
    "COCO-Stuff's pixel maps (0 to 181, 255)",
)


def stuff_jobs(root: Path, *, train: bool) -> list[Job]:
    """Jobs for `_labelTrainIds.png`, beside each pixel map."""
    return _jobs(root, train, "_labelTrainIds.png", _TO_STUFF)


def object_jobs(root: Path, *, train: bool) -> list[Job]:
    """Jobs for `_instanceTrainIds.png`: things 1 to 80, all else 0."""
    return _jobs(root, train, "_instanceTrainIds.png", _TO_OBJECT)


def _jobs(root: Path, train: bool, suffix: str, convert: Relabel) -> list[Job]:
    folders = ["val2017", "train2017"] if train else ["val2017"]
    return [
        Job(source, source.with_name(source.stem + suffix), convert)
        for folder in folders
        for source in sorted((root / "annotations" / folder).glob("*.png"))
        if source.stem.isdecimal()
    ]
