"""Drawn scenes as files for mmengine: `scene://HxW/SEED.png` and `scene://HxW/SEED.label.png`.

With this backend everything of mmseg that reads an image by its path (loading transforms, the
inferencer, the visualization hook) reads a scene that lies on no disk.
"""

from __future__ import annotations

import re
from functools import lru_cache

import cv2
import numpy as np
from mmengine.fileio import BaseStorageBackend, register_backend

from ovseg.errors import DatasetError
from ovseg.scenes.world import Scene, draw_scene

__all__ = ["SceneBackend", "labels_path", "image_path"]

_PATH = re.compile(r"scene://(?P<height>\d+)x(?P<width>\d+)/(?P<seed>\d+)(?P<labels>\.label)?\.png")


def image_path(seed: int, size: tuple[int, int]) -> str:
    """Return the path of a drawn image of `size` (height, width).

    >>> image_path(7, (224, 320))
    'scene://224x320/0000007.png'
    """
    return f"scene://{size[0]}x{size[1]}/{seed:07d}.png"


def labels_path(seed: int, size: tuple[int, int]) -> str:
    """Return the path of the label map of a drawn image of `size` (height, width).

    >>> labels_path(7, (224, 320))
    'scene://224x320/0000007.label.png'
    """
    return f"scene://{size[0]}x{size[1]}/{seed:07d}.label.png"


# An image and its labels are asked for one after the other: draw them once.
@lru_cache(maxsize=4)
def _draw(seed: int, height: int, width: int) -> Scene:
    return draw_scene(seed, (height, width))


@register_backend("scene", prefixes="scene", force=True)
class SceneBackend(BaseStorageBackend):
    """mmengine's storage backend for `scene://` paths: draws, then encodes as PNG."""

    def get(self, filepath: str) -> bytes:
        """Return the PNG bytes of a drawn image (RGB) or of its label map (8 bit ids).

        Raises:
            DatasetError: the path is not of the form `scene://HxW/SEED[.label].png`.
        """
        match = _PATH.fullmatch(str(filepath))
        if match is None:
            raise DatasetError(
                "not the path of a drawn scene",
                where=filepath,
                expected="scene://HEIGHTxWIDTH/SEED.png or scene://HEIGHTxWIDTH/SEED.label.png",
            )
        scene = _draw(int(match["seed"]), int(match["height"]), int(match["width"]))
        pixels = scene.labels if match["labels"] else scene.image[:, :, ::-1]
        _, data = cv2.imencode(".png", np.ascontiguousarray(pixels))
        return data.tobytes()

    def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
        """Refuse: a scene has no text form.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("a drawn scene is an image and cannot be read as text", where=filepath)
