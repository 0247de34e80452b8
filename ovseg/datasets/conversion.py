"""Converting label maps file by file: whole or not at all, only where there is work to do."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ovseg.datasets.labels import decode_ids
from ovseg.errors import DatasetError, OvsegError
from ovseg.utils.files import write_atomic

__all__ = ["Job", "Relabel", "encode_ids", "pending", "read_ids", "run_jobs"]


@dataclass(frozen=True)
class Job:
    """One file to make.

    Attributes:
        source: the file that it is made of.
        target: where it goes.
        convert: returns the new file's bytes; raises `DatasetError` for a wrong source.
    """

    source: Path
    target: Path
    convert: Callable[[Path], bytes]


class Relabel:
    """Turns label maps of one numbering into 8-bit PNG of another.

    Args:
        table: new id of each old one.
        kind: what the source should be, for messages.
    """

    def __init__(self, table: Mapping[int, int], kind: str) -> None:
        self.kind = kind
        self._new = np.full(65_536, -1, dtype=np.int32)
        for old, new in table.items():
            self._new[old] = new

    def __call__(self, source: Path) -> bytes:
        """Convert a file.

        Raises:
            DatasetError: it is no label map, or has ids that the numbering lacks.
        """
        ids = self._new[read_ids(source)]
        if ids.min(initial=0) < 0:
            unknown = np.unique(read_ids(source)[ids < 0])
            raise DatasetError(
                f"ids {', '.join(str(value) for value in unknown[:5])} are not in {self.kind}",
                where=source,
                expected=self.kind,
                fix="get the file again from the data set's own site",
            )
        return encode_ids(ids.astype(np.uint8))


def read_ids(path: Path) -> np.ndarray:
    """Read a label map, (H, W) int32, as it stands.

    Raises:
        DatasetError: it cannot be read, or holds colors.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror})", where=path) from error
    return decode_ids(data, str(path))


def encode_ids(ids: np.ndarray, form: str = "PNG") -> bytes:
    """Encode (H, W) ids, uint8 or uint16, as a PNG or TIFF file of one band."""
    file = io.BytesIO()
    Image.fromarray(ids).save(file, form)
    return file.getvalue()


def pending(jobs: Iterable[Job]) -> list[Job]:
    """Those jobs whose target is not there or older than its source, as `make` decides."""
    return [job for job in jobs if not _is_current(job)]


def _is_current(job: Job) -> bool:
    try:
        return job.target.stat().st_mtime_ns >= job.source.stat().st_mtime_ns
    except OSError:
        return False


def run_jobs(
    jobs: Iterable[Job],
    done: Callable[[], None],
    failed: Callable[[str], None],
) -> tuple[int, int]:
    """Make the files; one that fails leaves nothing behind and the others go on.

    Args:
        jobs: what to make.
        done: called after each file that is made.
        failed: called with the reason for each that is not.

    Returns:
        How many are made, how many failed.

    Raises:
        RuntimeLimitError: the disk is full.
        InputError: the place cannot be written.
    """
    made = failures = 0
    for job in jobs:
        try:
            data = job.convert(job.source)
        except OvsegError as error:
            failures += 1
            failed(str(error))
            continue
        write_atomic(job.target, data)
        made += 1
        done()
    return made, failures
