"""Writing files whole or not at all, and names that every file system takes."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

from ovseg.errors import InputError, RuntimeLimitError

__all__ = ["FORMATS", "TEMP_PREFIX", "safe_name", "write_atomic"]

FORMATS = ("label", "palette", "overlay", "coco")
"""What `ovseg.segmentation.Segmentation.save` can write; here since this module is light."""

TEMP_PREFIX = ".ovseg-"
"""Start of every temporary name: what a crash leaves behind can be told apart and removed."""

_LONGEST = 200
"""Bytes of a name; file systems allow 255, the rest is for suffixes such as `.palette.png`."""


def write_atomic(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` to `path` so that readers see the old file or the whole new one.

    The bytes go to a temporary file in the same folder, which then takes the final name; when
    anything fails the temporary file is removed and an older file at `path` stays as it was.
    Missing folders are made.

    Args:
        path: the final place.
        data: the content.

    Returns:
        `path` as a `Path`.

    Raises:
        RuntimeLimitError: the disk is full or a quota is reached.
        InputError: the place cannot be written.

    Example:
        >>> folder = tempfile.mkdtemp()
        >>> write_atomic(os.path.join(folder, "a", "b.txt"), b"hello").read_bytes()
        b'hello'
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=TEMP_PREFIX, suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_UMASK)
        os.replace(temporary, path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return path


def safe_name(name: str) -> str:
    """Shorten the parts of a relative name that are too long for a file system.

    A part above 200 bytes keeps its start and gets a hash of the whole, so that different long
    names stay different. All other names come back unchanged.

    Args:
        name: a relative name with `/` between its parts.

    Returns:
        The name with every part at most 200 bytes long.

    Example:
        >>> safe_name("holiday/beach at dawn")
        'holiday/beach at dawn'
        >>> len(safe_name("x" * 300))
        200
    """
    return "/".join(_safe_part(part) for part in name.split("/"))


def _safe_part(part: str) -> str:
    raw = os.fsencode(part)
    if len(raw) <= _LONGEST:
        return part
    digest = hashlib.sha256(raw).hexdigest()[:12]
    kept = raw[: _LONGEST - len(digest) - 1].decode("utf-8", errors="ignore")
    return f"{kept}~{digest}"


def _read_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_UMASK = _read_umask()


def _explain(error: OSError, path: Path) -> InputError | RuntimeLimitError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RuntimeLimitError(
            "the disk is full",
            where=path,
            fix="free some space or choose another output folder; earlier results are intact",
        )
    return InputError(
        f"cannot be written ({error.strerror or error})",
        where=path,
        expected="a folder in which files can be made",
        fix="check the permissions or choose another output folder",
    )
