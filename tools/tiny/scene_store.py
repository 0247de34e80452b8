"""Drawn scenes kept on disk as memory maps, and training batches cut out of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from ovseg.scenes import VERSION, SceneRegion, draw_scene

__all__ = ["SceneStore", "View", "patch_shares"]

_CHUNK = 64


def _draw(seeds: list[int], size: int) -> tuple[np.ndarray, np.ndarray, list]:
    scenes = [draw_scene(seed, (size, size)) for seed in seeds]
    regions = [[astuple(region) for region in scene.regions] for scene in scenes]
    return (
        np.stack([s.image for s in scenes]),
        np.stack([s.instances for s in scenes]),
        regions,
    )


@dataclass(frozen=True)
class View:
    """A square part of a scene.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        instances: (S, S) uint8, index into ``regions``; 255 for none.
        regions: the regions of the whole scene.
        corner: (top, left) of the view in the scene, in pixels.
    """

    image: np.ndarray
    instances: np.ndarray
    regions: tuple[SceneRegion, ...]
    corner: tuple[int, int]


class SceneStore:
    """Square scenes of consecutive seeds, drawn once and then read from memory maps.

    Args:
        folder: where the maps live; a finished one is used again.
        seeds: the seeds to draw.
        size: side of a scene in pixels.
        report: called with (done, total) while drawing.
    """

    def __init__(
        self,
        folder: Path,
        seeds: range,
        size: int = 224,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self.size = size
        self.folder = folder / f"scenes-v{VERSION}-{seeds.start}-{len(seeds)}-{size}"
        if not (self.folder / "regions.json").exists():
            self._draw_all(seeds, report)
        self.images = np.load(self.folder / "images.npy", mmap_mode="r")
        self.instances = np.load(self.folder / "instances.npy", mmap_mode="r")
        rows = json.loads((self.folder / "regions.json").read_text(encoding="utf-8"))
        self.regions = [tuple(SceneRegion(*fields) for fields in row) for row in rows]

    def __len__(self) -> int:
        return len(self.images)

    def _draw_all(self, seeds: range, report: Callable[[int, int], None] | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shape = (len(seeds), self.size, self.size)
        images, instances = (
            np.lib.format.open_memmap(self.folder / name, "w+", np.uint8, full)
            for name, full in (("images.npy", (*shape, 3)), ("instances.npy", shape))
        )
        parts = [list(seeds[i : i + _CHUNK]) for i in range(0, len(seeds), _CHUNK)]
        regions: list = []
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for drawn, maps, rows in pool.map(_draw, parts, [self.size] * len(parts)):
                done = len(regions)
                images[done : done + len(drawn)] = drawn
                instances[done : done + len(maps)] = maps
                regions += rows
                if report is not None:
                    report(len(regions), len(seeds))
        images.flush()
        instances.flush()
        # Written last: its presence says that the maps are whole.
        scratch = self.folder / "regions.json.tmp"
        scratch.write_text(json.dumps(regions), encoding="utf-8")
        scratch.replace(self.folder / "regions.json")

    def view(self, rng: np.random.Generator, side: int, step: int) -> View:
        """Cut a random part of a random scene; two times out of three a thing lies in it.

        Args:
            rng: decides everything.
            side: side of the view in pixels, at most the scene's.
            step: the view's corner is a multiple of this many pixels.
        """
        index = int(rng.integers(len(self)))
        most = (self.size - side) // step
        corner = rng.integers(most + 1, size=2)
        things = [i for i, region in enumerate(self.regions[index]) if region.is_thing]
        if things and most and rng.random() < 2 / 3:
            rows, columns = np.nonzero(self.instances[index] == things[rng.integers(len(things))])
            if len(rows):
                at = int(rng.integers(len(rows)))
                shift = rng.integers(side // 4, side - side // 4, size=2)
                pixel = np.array([rows[at], columns[at]]) - shift
                corner = np.clip(pixel // step, 0, most)
        top, left = (int(v) * step for v in corner)
        part = (index, slice(top, top + side), slice(left, left + side))
        image, instances = self.images[part], self.instances[part]
        if rng.random() < 0.5:
            image, instances = image[:, ::-1], instances[:, ::-1]
            left = self.size - side - left
        light = int(rng.integers(230, 282))
        image = np.minimum(image.astype(np.uint16) * light // 256, 255).astype(np.uint8)
        return View(image, np.ascontiguousarray(instances), self.regions[index], (top, left))


def patch_shares(instances: np.ndarray, region: int, patch: int) -> np.ndarray:
    """Share of each patch that a region covers.

    Args:
        instances: (S, S) uint8 region indices, S a multiple of ``patch``.
        region: the index looked for.
        patch: side of a patch in pixels.

    Returns:
        (S / patch, S / patch) float32 in [0, 1].

    Example:
        >>> patch_shares(np.array([[0, 0, 1, 1], [0, 0, 1, 0]], np.uint8).repeat(2, 0), 1, 4)
        array([[0.375]], dtype=float32)
    """
    side = len(instances) // patch
    blocks = (instances == region).reshape(side, patch, side, patch)
    return blocks.mean(axis=(1, 3), dtype=np.float32)
