"""Where a training goes on: the last checkpoint that is whole."""

from __future__ import annotations

import re
from pathlib import Path

from ovseg.errors import CheckpointError
from ovseg.mm.checkpoints import load_from_local

__all__ = ["last_whole", "require_resumable"]

_NAME = re.compile(r"(?:iter|epoch)_(\d+)\.pth")


def last_whole(folder: Path) -> tuple[Path | None, list[str]]:
    """Find the newest checkpoint of a work folder that can be read.

    The note `last_checkpoint` of mmengine is not asked: a crash may have cut it off too.

    Args:
        folder: the work folder.

    Returns:
        The file, or None; and what is wrong with newer ones.
    """
    found = [
        (int(match[1]), path)
        for path in folder.glob("*.pth")
        if (match := _NAME.fullmatch(path.name))
    ]
    problems = []
    for _, path in sorted(found, reverse=True):
        try:
            require_resumable(path)
        except CheckpointError as error:
            problems.append(str(error))
        else:
            return path, problems
    return None, problems


def require_resumable(path: Path) -> None:
    """Refuse a file from which a training cannot go on.

    Raises:
        CheckpointError: not there, damaged, unsafe, or weights alone.
    """
    state = load_from_local(str(path), map_location="cpu")
    missing = {"state_dict", "optimizer", "message_hub", "meta"} - set(state)
    if missing:
        raise CheckpointError(
            f"holds no {' and no '.join(sorted(missing))}: a training cannot go on from it",
            where=path,
            fix="to start a new training from its weights: --cfg-options load_from=FILE",
        )
