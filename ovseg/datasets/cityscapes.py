"""Cityscapes' label ids (0 to 33) become train ids (0 to 18, 255 for the rest)."""

from __future__ import annotations

from pathlib import Path

from ovseg.datasets.conversion import Job, Relabel

__all__ = ["TRAIN_IDS", "jobs"]

TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label id of each train id in turn."""

_HIGHEST = 33
_TABLE = dict.fromkeys([*range(_HIGHEST + 1), 255], 255)
_TABLE.update({label: train for train, label in enumerate(TRAIN_IDS)})
_CONVERT = Relabel(_TABLE, "Cityscapes' label ids (0 to 33)")
_LABELS, _TRAIN = "_gtFine_labelIds.png", "_gtFine_labelTrainIds.png"


def jobs(root: Path, *, train: bool) -> list[Job]:
    """Jobs for `_gtFine_labelTrainIds.png`, beside each `_gtFine_labelIds.png`."""
    return [
        Job(source, source.with_name(source.name.removesuffix(_LABELS) + _TRAIN), _CONVERT)
        for split in (["val", "train"] if train else ["val"])
        for source in sorted((root / "gtFine" / split).glob(f"*/*{_LABELS}"))
    ]
