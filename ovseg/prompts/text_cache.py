"""Text vectors on disk: one file for each text encoder and set of templates."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ovseg.errors import OvsegError
from ovseg.utils.files import write_atomic
from ovseg.weights.download import cache_root

__all__ = ["FORMAT", "Row", "TextCache", "default_cache_dir"]

FORMAT = "2"
"""Version of the files; another version is another file."""

_SECONDS = 60
"""Longest wait for another process that is writing."""


@dataclass(frozen=True)
class Row:
    """What is kept of a query.

    Attributes:
        vector: (E) float32 unit vector.
        cut: the longest text that the context length cut off one of its prompts; "" for none.
    """

    vector: Tensor
    cut: str


def default_cache_dir() -> Path:
    """`$OVSEG_CACHE/text` where that is set, else `~/.cache/ovseg/text`."""
    return cache_root() / "text"


class TextCache:
    """A file of rows, which a writer replaces as a whole.

    Readers see the old file or the new one; a lock beside it makes one writer wait for another, so
    that no row is lost. Nothing here fails a run: a damaged file is removed with a warning and made
    anew, and where it cannot be written the vectors are computed each time, with one warning.

    Args:
        path: the file; it is made when the first row is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, queries: Sequence[str]) -> dict[str, Row]:
        """Rows of those queries that are known."""
        rows = self._load()
        return {
            query: Row(rows[query].vector.clone(), rows[query].cut)
            for query in queries
            if query in rows
        }

    def write(self, rows: Mapping[str, Row]) -> None:
        """Add rows."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=_SECONDS):
                write_atomic(self.path, _pack({**self._load(), **rows}))
        except (OSError, OvsegError) as error:
            warnings.warn(
                f"text vectors are not kept: {error}; OVSEG_CACHE names another folder",
                stacklevel=3,
            )

    def _load(self) -> dict[str, Row]:
        """All rows; none where the file is damaged or not there."""
        try:
            return _unpack(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            warnings.warn(f"{self.path}: cannot be read ({error.strerror})", stacklevel=4)
        except (SafetensorError, ValueError, KeyError) as error:
            warnings.warn(
                f"{self.path}: damaged text cache ({error}); it is removed and made anew",
                stacklevel=4,
            )
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        return {}


def _pack(rows: Mapping[str, Row]) -> bytes:
    text = json.dumps([[query, row.cut] for query, row in rows.items()]).encode()
    content = {
        "vectors": torch.stack([row.vector for row in rows.values()]),
        "text": torch.frombuffer(bytearray(text), dtype=torch.uint8),
    }
    return save({**content, "checksum": _checksum(content)})


def _unpack(data: bytes) -> dict[str, Row]:
    content = load(data)
    if not torch.equal(content.pop("checksum"), _checksum(content)):
        raise ValueError("checksum")
    entries = json.loads(content["text"].numpy().tobytes())
    return {q: Row(row, cut) for (q, cut), row in zip(entries, content["vectors"], strict=True)}


def _checksum(content: Mapping[str, Tensor]) -> Tensor:
    """SHA-256 of the tensors, (32) uint8: safetensors itself does not notice a changed value."""
    digest = hashlib.sha256(content["text"].numpy().data)
    digest.update(content["vectors"].numpy().data)
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)
