"""Text vectors on disk: a folder of small files that are written once and never changed.

A folder belongs to one text encoder and one set of templates. A file (a shard) holds the vectors of
the queries that were new in one call, so adding a class to a list of thousands writes one row, and
two processes that write at the same time never touch the same file. Many shards are joined into one
now and then.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ovseg.errors import OvsegError
from ovseg.files import write_atomic

__all__ = ["FORMAT", "Row", "TextCache", "default_cache_dir"]

FORMAT = "1"
"""Version of the files; another version is another folder."""

_MOST_SHARDS = 32
_SAME_PROBE = 1e-4


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
    root = os.environ.get("OVSEG_CACHE")
    return (Path(root).expanduser() if root else Path.home() / ".cache" / "ovseg") / "text"


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
        for _, rows in self._shards():
            for query in wanted & rows.keys():
                found[query] = Row(rows[query].vector.clone(), rows[query].cut)
            wanted -= rows.keys()
            if not wanted:
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

    def _shards(self) -> Iterator[tuple[Path, dict[str, Row]]]:
        for path in self._paths():
            try:
                rows = _unpack(path.read_bytes(), self.probe)
            except FileNotFoundError:
                continue
            except OSError as error:
                warnings.warn(f"{path}: cannot be read ({error.strerror})", stacklevel=4)
                continue
            except (SafetensorError, ValueError, KeyError) as error:
                warnings.warn(
                    f"{path}: damaged text cache ({error}); it is removed and made anew",
                    stacklevel=4,
                )
                _remove(path)
                continue
            if rows is not None:
                yield path, rows

    def _join(self) -> None:
        joined: dict[str, Row] = {}
        read = []
        for path, rows in self._shards():
            joined.update(rows)
            read.append(path)
        kept = self._write(joined)
        for path in read:
            if path != kept:
                _remove(path)

    def _write(self, rows: Mapping[str, Row]) -> Path:
        data = _pack(rows, self.probe)
        name = f"{hashlib.sha256(data).hexdigest()[:20]}.safetensors"
        return write_atomic(self.folder / name, data)


def _pack(rows: Mapping[str, Row], probe: Tensor) -> bytes:
    text = json.dumps([[query, row.cut] for query, row in rows.items()]).encode()
    vectors = torch.stack([row.vector for row in rows.values()])
    return save(
        {
            "vectors": vectors,
            "probe": probe,
            "text": _bytes_tensor(text),
            "sha256": _bytes_tensor(_digest(vectors, text)),
        }
    )


def _unpack(data: bytes, probe: Tensor) -> dict[str, Row] | None:
    """Rows by query, or None for a shard of another probe."""
    tensors = load(data)
    vectors, text = tensors["vectors"], tensors["text"].numpy().tobytes()
    if tensors["sha256"].numpy().tobytes() != _digest(vectors, text):
        raise ValueError("checksum")
    if tensors["probe"].shape != probe.shape or vectors.shape[1:] != probe.shape:
        raise ValueError("width")
    if (tensors["probe"] - probe).abs().max() > _SAME_PROBE:
        return None
    entries = json.loads(text)
    return {query: Row(row, cut) for (query, cut), row in zip(entries, vectors, strict=True)}


def _digest(vectors: Tensor, text: bytes) -> bytes:
    return hashlib.sha256(vectors.contiguous().numpy().tobytes() + text).digest()


def _bytes_tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"{path}: cannot be removed ({error.strerror})", stacklevel=5)
