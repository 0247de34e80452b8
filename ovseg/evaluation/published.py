"""What the papers report, by configuration; `published.csv` beside this file holds it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Published", "published"]


@dataclass(frozen=True)
class Published:
    """A published figure.

    Attributes:
        config: name of the configuration that it belongs to.
        miou: mean IoU in percent.
        source: where it was read.
        note: what sets it apart; may be empty.
    """

    config: str
    miou: float
    source: str
    note: str


@cache
def published() -> dict[str, Published]:
    """Return the published figures by configuration name.

    Example:
        >>> published()["maskclip_vit_b16_original_voc20"].miou
        49.5
    """
    text = (Path(__file__).parent / "published.csv").read_text("utf-8").splitlines()
    return {
        row["config"]: Published(row["config"], float(row["mIoU"]), row["source"], row["note"])
        for row in csv.DictReader(text)
    }
