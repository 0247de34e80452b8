"""Text vectors on disk: a folder of small files that are written once and never changed.

A folder belongs to one text encoder and one set of templates. A file (a shard) holds the vectors of
the queries that were new in one call, so adding a class to a list of thousands writes one row, and
two processes that write at the same time never touch the same file. Many shards are joined into one
now and then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ovseg.errors import OvsegError
from ovseg.utils.files import write_atomic
from ovseg.weights.download import cache_root

__all__ = ["FORMAT", "Row", "TextCache", "default_cache_dir"]

FORMAT = "1"
"""Version of the files; another version is another folder."""

_MOST_SHARDS = 32
_MOST_LISTINGS = 5
"""Times that the folder is listed while another process joins the shards under our hands."""

_SAME = 1e-4
"""Largest difference of two probes of the same encoder; devices differ by less."""


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
    """The shards of one text encoder and one set of templates.

    Nothing here fails a run: a damaged shard is removed with a warning and made anew, and where
    the folder cannot be written the vectors are computed each time, with one warning.

    Args:
        folder: where the shards lie; it is made when the first is written.
        probe: (E) unit vector that the encoder gives for a fixed text. Shards with another one
            come from the same weights run in another way and are left alone.
    """

    def __init__(self, folder: Path, probe: Tensor) -> None:
        self.folder = folder
        self.probe = probe

    def read(self, queries: Sequence[str]) -> dict[str, Row]:
        """Rows of those queries that are known."""
        wanted, found = set(queries), {}
        for _ in range(_MOST_LISTINGS):
            complete = True
            for path in self._paths():
                try:
                    rows = self._load(path)
                except FileNotFoundError:
                    complete = False
                    continue
                for query in wanted & rows.keys():
                    found[query] = Row(rows[query].vector.clone(), rows[query].cut)
                wanted -= rows.keys()
            if complete or not wanted:
                break
        return found

    def write(self, rows: Mapping[str, Row]) -> None:
        """Add rows; also joins the shards once there are many."""
        try:
            self._write(rows)
            if len(self._paths()) > _MOST_SHARDS:
                self._join()
        except OvsegError as error:
            warnings.warn(
                f"text vectors are not kept: {error}; OVSEG_CACHE names another folder",
                stacklevel=3,
            )

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))

    def _load(self, path: Path) -> dict[str, Row]:
        """Rows of a shard; none where it is damaged or belongs to another probe."""
        try:
            data = path.read_bytes()
            if path.name != _name(data):
                raise ValueError("checksum")
            return _unpack(data, self.probe)
        except FileNotFoundError:
            raise
        except OSError as error:
            warnings.warn(f"{path}: cannot be read ({error.strerror})", stacklevel=4)
        except (SafetensorError, ValueError, KeyError) as error:
            warnings.warn(
                f"{path}: damaged text cache ({error}); it is removed and made anew", stacklevel=4
            )
            _remove(path)
        return {}

    def _join(self) -> None:
        joined: dict[str, Row] = {}
        read = []
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):
                rows = self._load(path)
                joined.update(rows)
                read += [path] if rows else []
        kept = self._write(joined)
        for path in read:
            if path != kept:
                _remove(path)

    def _write(self, rows: Mapping[str, Row]) -> Path:
        data = _pack(rows, self.probe)
        return write_atomic(self.folder / _name(data), data)


def _pack(rows: Mapping[str, Row], probe: Tensor) -> bytes:
    text = json.dumps([[query, row.cut] for query, row in rows.items()]).encode()
    vectors = torch.stack([row.vector for row in rows.values()])
    return save(
        {
            "vectors": vectors,
            "probe": probe,
            "text": torch.frombuffer(bytearray(text), dtype=torch.uint8),
        }
    )


def _unpack(data: bytes, probe: Tensor) -> dict[str, Row]:
    """Rows by query; none of a shard of another probe."""
    tensors = load(data)
    if tensors["probe"].shape != probe.shape or (tensors["probe"] - probe).abs().max() > _SAME:
        return {}
    entries = json.loads(tensors["text"].numpy().tobytes())
    return {q: Row(row, cut) for (q, cut), row in zip(entries, tensors["vectors"], strict=True)}


def _name(data: bytes) -> str:
    """Name of a shard: a hash of its content, so that damage shows."""
    return f"{hashlib.sha256(data).hexdigest()[:20]}.safetensors"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"{path}: cannot be removed ({error.strerror})", stacklevel=5)
