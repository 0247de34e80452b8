"""Many images into one run folder: skip what is done, go on after failures, count."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovseg.errors import OvsegError
from ovseg.images import Item, read_frames
from ovseg.utils.files import safe_name

if TYPE_CHECKING:
    from ovseg.images import ImageFinder, LoadedImage, ReadOptions
    from ovseg.prompts.vocabulary import Vocabulary
    from ovseg.runs.folder import RunFolder
    from ovseg.segmentation import Segmentation
    from ovseg.segmenter import Segmenter
    from ovseg.utils.progress import Progress

__all__ = ["Batch", "RunCounts", "apart_from_frames", "frame_name"]

_FRAME = re.compile(r"\.frame\d{4,}$")


@dataclass
class RunCounts:
    """What became of the images so far."""

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
    """How each image of a run is read, segmented and written.

    Attributes:
        model: the loaded model.
        vocabulary: its words.
        folder: where results go.
        formats: as for `Segmentation.save`.
        options: how images are read.
        palette: an RGB color a class, or None for the automatic ones.
        all_frames: give every frame of an animation or page of a TIFF results of its own.
        stop_at_first: raise the first failure instead of going on.
    """

    model: Segmenter
    vocabulary: Vocabulary
    folder: RunFolder
    formats: Sequence[str]
    options: ReadOptions
    palette: Sequence[tuple[int, int, int]] | None = None
    all_frames: bool = False
    stop_at_first: bool = False

    def run(self, items: ImageFinder, progress: Progress, tally: RunCounts) -> None:
        """Work through the images; the tally is right at any moment, also after an interrupt.

        Raises:
            OvsegError: results cannot be written, or any failure if `stop_at_first`.
            OSError: the journal cannot be written.
        """
        for item in items:
            self._one(apart_from_frames(item) if self.all_frames else item, progress, tally)

    def _one(self, item: Item, progress: Progress, tally: RunCounts) -> None:
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
            if self.folder.is_done(item.name, item.path):
                return True
            return self.all_frames and self._are_frames_done(item)
        except OSError:  # reading it will say what is wrong
            return False

    def _are_frames_done(self, item: Item) -> bool:
        first = self.folder.done_record(frame_name(item.name, 0), item.path)
        return first is not None and all(
            self.folder.is_done(frame_name(item.name, index), item.path)
            for index in range(1, first["notes"]["frames"])
        )

    def _work(self, item: Item, progress: Progress, tally: RunCounts) -> None:
        results = self._results(item)
        while True:
            try:
                one = next(results, None)
            except Exception as error:
                tally.failed += 1
                self._failed(item, error, progress)
                return
            if one is None:
                break
            name, result, details = one
            outputs = result.save(self.folder.root, name, _files(self.formats))
            self.folder.record(name, item.path, outputs, details)
        tally.done += 1
        progress.step()

    def _results(self, item: Item) -> Iterator[tuple[str, Segmentation, dict[str, Any]]]:
        """Name, result and details of the image, or of each of its frames not done before."""
        if not self.all_frames:
            yield item.name, *self._segment(item.path)
            return
        for image in read_frames(item.path, self.options):
            name = item.name
            if "frame" in image.notes:
                name = frame_name(name, image.notes["frame"])
                if self.folder.is_done(name, item.path):
                    continue
            yield name, *self._segment(image)

    def _segment(self, source: str | LoadedImage) -> tuple[Segmentation, dict[str, Any]]:
        start = time.perf_counter()
        result = self.model.segment(
            source, self.vocabulary, options=self.options, palette=self.palette
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
        self.folder.record_error(item.name, item.path, error)
        if self.stop_at_first:
            raise error
        known = isinstance(error, (OvsegError, OSError))
        progress.fail(str(error) if known else f"{item.path}: {type(error).__name__}: {error}")


def _files(formats: Sequence[str]) -> tuple[str, ...]:
    """Formats that are files of their own; COCO records stand in `results.jsonl`."""
    return tuple(name for name in formats if name != "coco")


def frame_name(name: str, index: int) -> str:
    """Return the name of one frame's results.

    Example:
        >>> frame_name("x/waves", 3)
        'x/waves.frame0003'
    """
    return f"{name}.frame{index:04d}"


def apart_from_frames(item: Item) -> Item:
    """Let a file that is called like a frame keep its extension, so that the two never meet.

    Example:
        >>> apart_from_frames(Item("in/waves.frame0003.png", "waves.frame0003")).name
        'waves.frame0003.png'
    """
    if not _FRAME.search(item.name):
        return item
    return Item(item.path, safe_name(item.name + os.path.splitext(item.path)[1]))
