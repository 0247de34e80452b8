"""Many pictures into one run folder: skip what is done, go on after failures, count."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovseg.errors import OvsegError

if TYPE_CHECKING:
    from ovseg.pictures import Item, PictureFinder, ReadOptions
    from ovseg.progress import Progress
    from ovseg.runs import RunFolder
    from ovseg.segmentation import Segmentation
    from ovseg.segmenter import Segmenter
    from ovseg.vocabulary import Vocabulary

__all__ = ["Batch", "Tally"]


@dataclass
class Tally:
    """What became of the pictures so far."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    elsewhere: int = 0

    def __str__(self) -> str:
        parts = [f"{self.done} done"]
        for count, words in (
            (self.skipped, "done before"),
            (self.elsewhere, "left to another process"),
            (self.failed, "failed (see errors.jsonl)"),
        ):
            if count:
                parts.append(f"{count} {words}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Batch:
    """How each picture of a run is read, segmented and written.

    Attributes:
        model: the loaded model.
        vocabulary: its words.
        folder: where results go.
        formats: as for `Segmentation.save`.
        options: how pictures are read.
        palette: an RGB colour a class, or None for the automatic ones.
        stop_at_first: raise the first failure instead of going on.
    """

    model: Segmenter
    vocabulary: Vocabulary
    folder: RunFolder
    formats: Sequence[str]
    options: ReadOptions
    palette: Sequence[tuple[int, int, int]] | None = None
    stop_at_first: bool = False

    def run(self, items: PictureFinder, progress: Progress, tally: Tally) -> None:
        """Work through the pictures; the tally is right at any moment, also after an interrupt.

        Raises:
            OvsegError: results cannot be written, or any failure if `stop_at_first`.
            OSError: the journal cannot be written.
        """
        for item in items:
            self._one(item, progress, tally)

    def _one(self, item: Item, progress: Progress, tally: Tally) -> None:
        if self._is_done(item):
            tally.skipped += 1
            progress.step()
            return
        with self.folder.claim(item.name) as mine:
            if not mine:
                tally.elsewhere += 1
            elif self._is_done(item):  # by another process, just now
                tally.skipped += 1
            else:
                self._work(item, progress, tally)
                return
        progress.step()

    def _is_done(self, item: Item) -> bool:
        try:
            return self.folder.is_done(item.name, Path(item.path))
        except OSError:  # reading it will say what is wrong
            return False

    def _work(self, item: Item, progress: Progress, tally: Tally) -> None:
        try:
            result, details = self._segment(item)
        except Exception as error:
            tally.failed += 1
            self._failed(item, error, progress)
            return
        outputs = result.save(self.folder.root, item.name, _files(self.formats))
        self.folder.record(item.name, Path(item.path), outputs, details)
        tally.done += 1
        progress.step()

    def _segment(self, item: Item) -> tuple[Segmentation, dict[str, Any]]:
        start = time.perf_counter()
        result = self.model.segment(
            item.path, self.vocabulary, options=self.options, palette=self.palette
        )
        height, width = result.labels.shape
        details = {
            "width": width,
            "height": height,
            "seconds": round(time.perf_counter() - start, 3),
            "classes": {name: round(share, 6) for name, share in result.shares().items()},
            "notes": result.notes,
        }
        if "coco" in self.formats:
            details["segments"] = result.to_coco()
        return result, details

    def _failed(self, item: Item, error: Exception, progress: Progress) -> None:
        self.folder.record_error(item.name, Path(item.path), error)
        if self.stop_at_first:
            raise error
        known = isinstance(error, (OvsegError, OSError))
        progress.fail(str(error) if known else f"{item.path}: {type(error).__name__}: {error}")


def _files(formats: Sequence[str]) -> tuple[str, ...]:
    """Formats that are files of their own; COCO records stand in `results.jsonl`."""
    return tuple(name for name in formats if name != "coco")
