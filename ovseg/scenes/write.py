"""Writes drawn scenes as a data set: images, label maps and the list of classes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ovseg.scenes.world import CLASSES, VERSION, check_scene_size, check_seeds, draw_scene
from ovseg.utils.files import write_atomic

__all__ = ["write_scenes"]


def write_scenes(
    out: str | os.PathLike[str],
    count: int,
    seed: int,
    size: tuple[int, int] = (224, 224),
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `img_dir/*.png`, `ann_dir/*.png` of equal stems and `classes.txt`.

    Label maps hold class ids, 255 for ignore; the line number in `classes.txt`, from 0, is the
    id. `scenes.json` says what was drawn last: the world's version, the seeds, the size. Each file
    appears whole or not at all, and drawing the same scenes again gives the same
    files, so a run that was cut off is simply repeated.

    Args:
        out: folder; made where it is missing.
        count: how many scenes, at least 1.
        seed: the first seed; the others follow it. The stem of a file is its seed.
        size: (height, width) in pixels.
        progress: called with (done, count) after every scene.

    Returns:
        The folder.

    Raises:
        InputError: if seeds or size are out of range, or the folder cannot be written.
        RuntimeLimitError: if the disk is full; what is written by then stays.
    """
    seeds = check_seeds(seed, count)
    size = check_scene_size(size)
    folder = Path(out)
    write_atomic(folder / "classes.txt", "".join(f"{name}\n" for name in CLASSES).encode())
    about = {"world": VERSION, "seeds": [seeds[0], seeds[-1]], "size": list(size)}
    write_atomic(folder / "scenes.json", f"{json.dumps(about)}\n".encode())
    for done, number in enumerate(seeds, start=1):
        scene = draw_scene(number, size)
        name = f"{number:07d}.png"
        # The label map goes first: every image that is there then has its labels.
        write_atomic(folder / "ann_dir" / name, _png(scene.labels))
        write_atomic(folder / "img_dir" / name, _png(cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)))
        if progress is not None:
            progress(done, count)
    return folder


def _png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()
