"""The synthetic world: images with exact label maps, a pure function of seed and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ovseg.errors import InputError
from ovseg.scenes.fields import lighten
from ovseg.scenes.layout import STUFF_IDS, draw_backdrop
from ovseg.scenes.placing import THING_IDS, Placed, place_things

__all__ = [
    "CLASSES",
    "IGNORE",
    "MAX_SEED",
    "MAX_SIDE",
    "MIN_SIDE",
    "PALETTE",
    "SPLITS",
    "VERSION",
    "SceneRegion",
    "Scene",
    "check_seeds",
    "check_scene_size",
    "draw_scene",
]

VERSION = "3"
"""Changes whenever any pixel of any scene does; results name it beside the seeds."""

CLASSES: tuple[str, ...] = (*STUFF_IDS, *THING_IDS)
IGNORE = 255
SPLITS: dict[str, range] = {
    "train": range(0, 1_000_000),
    "val": range(1_000_000, 1_100_000),
    "test": range(2_000_000, 2_100_000),
}
MAX_SEED = max(seeds[-1] for seeds in SPLITS.values())
MIN_SIDE, MAX_SIDE = 16, 4096


def _palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """Distinct colors: hues a golden angle apart, in three strengths of light and color."""
    hues = (np.arange(count) * 111 % 180).astype(np.uint8)
    values = np.asarray([235, 170, 205], np.uint8)[np.arange(count) % 3]
    strengths = np.asarray([150, 220, 100], np.uint8)[np.arange(count) // 3 % 3]
    hsv = np.stack([hues, strengths, values], axis=-1)[None]
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]
    return tuple((int(r), int(g), int(b)) for r, g, b in rgb)


PALETTE = _palette(len(CLASSES))
"""One RGB color a class, for label maps that people look at."""


@dataclass(frozen=True)
class SceneRegion:
    """A part of a scene with one meaning.

    Attributes:
        class_id: index into `CLASSES`.
        name: the class name.
        color: the color word of a thing; None for stuff and for things without one.
        is_thing: whether it is a single object rather than stuff.
        ground: for a thing, the name of the stuff under its base; None for stuff.
    """

    class_id: int
    name: str
    color: str | None
    is_thing: bool
    ground: str | None = None


@dataclass(frozen=True)
class Scene:
    """A drawn image and everything that is known about it.

    Attributes:
        seed: the number it was drawn from.
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 class ids, 255 for ignore.
        instances: (H, W) uint8 index into `regions`, 255 for none.
        regions: every region with at least one visible pixel, stuff first.
    """

    seed: int
    image: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    regions: tuple[SceneRegion, ...]


def draw_scene(seed: int, size: tuple[int, int] = (224, 224)) -> Scene:
    """Draw one scene; the same seed, size and `VERSION` give the same bytes.

    Colors that are held out from training are drawn only for seeds outside the train split.

    Args:
        seed: 0 to `MAX_SEED`; see `SPLITS` for what each range is for.
        size: (height, width) in pixels, each `MIN_SIDE` to `MAX_SIDE`.

    Returns:
        The scene.

    Raises:
        InputError: if the seed or the size is out of range.

    Example:
        >>> draw_scene(7, (48, 64)).image.shape
        (48, 64, 3)
    """
    check_seeds(seed, 1)
    height, width = check_scene_size(size)
    rng = np.random.default_rng([int(VERSION), int(seed), height, width])
    backdrop = draw_backdrop(height, width, rng)
    things, drawn = place_things(backdrop, rng, held_out_colors=seed not in SPLITS["train"])
    image = _finish(backdrop.image, backdrop.unit, rng)
    instances, regions = _regions(backdrop.labels, drawn, things)
    return Scene(int(seed), image, backdrop.labels, instances, regions)


def check_seeds(first: int, count: int) -> range:
    """The seeds of `count` scenes from `first` on.

    Raises:
        InputError: if one of them is not a legal seed, or there is none.
    """
    if not all(isinstance(number, (int, np.integer)) for number in (first, count)):
        raise InputError(f"the seed {first!r} or the count {count!r} is not a whole number")
    if count < 1:
        raise InputError(f"cannot draw {count} scenes", expected="a count of at least 1")
    last = first + count - 1
    if first < 0 or last > MAX_SEED:
        raise InputError(
            f"seed {first if first < 0 else last} is outside the synthetic world",
            expected=f"seeds 0 to {MAX_SEED}",
            fix="choose " + ", ".join(f"{n} {r[0]}-{r[-1]}" for n, r in SPLITS.items()),
        )
    return range(first, first + count)


def check_scene_size(size: Sequence[int]) -> tuple[int, int]:
    """The size as (height, width).

    Raises:
        InputError: if it is not two lengths within the limits.
    """
    sides = tuple(np.atleast_1d(size).tolist())
    whole = all(isinstance(side, int) and MIN_SIDE <= side <= MAX_SIDE for side in sides)
    if len(sides) != 2 or not whole:
        raise InputError(
            f"cannot draw a scene of size {size}",
            expected=f"(height, width), each {MIN_SIDE} to {MAX_SIDE} px",
        )
    return sides


def _finish(image: np.ndarray, unit: float, rng: np.random.Generator) -> np.ndarray:
    """Global light, color cast, blur and sensor noise."""
    gain = float(rng.uniform(0.78, 1.1)) * rng.uniform(0.94, 1.06, 3)
    lift = float(rng.uniform(0.0, 14.0))
    table = np.rint(np.arange(256)[:, None] * gain * (1.0 - lift / 255.0) + lift)
    image = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8).reshape(1, 256, 3))
    if rng.random() < 0.5:
        corners = rng.integers(106, 144, (2, 2), dtype=np.uint8)
        shape = (image.shape[1], image.shape[0])
        image = lighten(image, cv2.resize(corners, shape, interpolation=cv2.INTER_LINEAR_EXACT))
    if rng.random() < 0.35:
        width = 2 * max(1, round(unit * float(rng.uniform(0.6, 2.0)))) + 1
        image = cv2.GaussianBlur(image, (width, width), 0)
    strength = int(rng.integers(0, 9))
    if strength:
        grain = rng.integers(0, 2 * strength + 1, image.shape, dtype=np.uint8)
        image = cv2.subtract(cv2.add(image, grain), np.full_like(image, strength))
    return image


def _regions(
    labels: np.ndarray, drawn: np.ndarray, things: list[Placed]
) -> tuple[np.ndarray, tuple[SceneRegion, ...]]:
    """Number the visible regions: stuff by class id, then things in the order of drawing."""
    seen_things = np.bincount(drawn.ravel(), minlength=256)[: len(things)] > 0
    seen_stuff = np.bincount(labels.ravel(), minlength=256)[: len(STUFF_IDS)] > 0
    table = np.full(256, IGNORE, np.uint8)
    regions: list[SceneRegion] = []
    for name, class_id in STUFF_IDS.items():
        if seen_stuff[class_id]:
            table[class_id] = len(regions)
            regions.append(SceneRegion(class_id, name, None, False))
    numbers = np.full(256, IGNORE, np.uint8)
    for index, thing in enumerate(things):
        if seen_things[index]:
            numbers[index] = len(regions)
            class_id = THING_IDS[thing.name]
            regions.append(SceneRegion(class_id, thing.name, thing.color, True, thing.ground))
    instances = np.where(drawn == IGNORE, table[labels], numbers[drawn])
    return instances, tuple(regions)
