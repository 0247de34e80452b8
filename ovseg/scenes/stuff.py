"""The twelve stuff classes of the synthetic world: their names, their words, their painters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ovseg.scenes import stuff_indoor, stuff_outdoor

__all__ = ["STUFF", "Stuff"]


@dataclass(frozen=True)
class Stuff:
    """A class without a shape of its own.

    Attributes:
        name: the class name.
        synonyms: other words that training captions may use.
        held_out_synonyms: words that no training caption uses.
        place: where a thing on it stands: "sky", "ground", "water", "road" or "indoor".
        position: how a caption says that a thing is there, such as "on the grass".
        paint: (height, width, rng, unit) to (height, width, 3) uint8 RGB; `unit` is the number
            of pixels that one pixel of a 224-pixel image spans.
    """

    name: str
    synonyms: tuple[str, ...]
    held_out_synonyms: tuple[str, ...]
    place: str
    position: str
    paint: Callable[[int, int, np.random.Generator, float], np.ndarray]


_ALL = (
    Stuff("sky", ("skies",), ("heavens",), "sky", "in the sky", stuff_outdoor.paint_sky),
    Stuff("grass", ("lawn",), ("turf",), "ground", "on the grass", stuff_outdoor.paint_grass),
    Stuff("sea", ("water",), ("ocean",), "water", "on the sea", stuff_outdoor.paint_sea),
    Stuff("sand", ("beach",), ("dunes",), "ground", "on the sand", stuff_outdoor.paint_sand),
    Stuff(
        "road", ("street", "asphalt"), ("highway",), "road", "on the road", stuff_outdoor.paint_road
    ),
    Stuff(
        "snow", ("snow cover",), ("snowfield",), "ground", "on the snow", stuff_outdoor.paint_snow
    ),
    Stuff(
        "brick wall",
        ("bricks", "brickwork"),
        ("masonry",),
        "indoor",
        "in front of the brick wall",
        stuff_indoor.paint_brick_wall,
    ),
    Stuff(
        "wooden floor",
        ("parquet", "planks"),
        ("floorboards",),
        "indoor",
        "on the wooden floor",
        stuff_indoor.paint_wooden_floor,
    ),
    Stuff(
        "mountain",
        ("mountains", "rock"),
        ("cliff",),
        "ground",
        "in front of the mountain",
        stuff_outdoor.paint_mountain,
    ),
    Stuff(
        "hedge",
        ("bushes", "shrubs"),
        ("foliage",),
        "ground",
        "in front of the hedge",
        stuff_outdoor.paint_hedge,
    ),
    Stuff("carpet", ("rug",), ("mat",), "indoor", "on the carpet", stuff_indoor.paint_carpet),
    Stuff(
        "tiled floor",
        ("tiles", "tile floor"),
        ("tiling",),
        "indoor",
        "on the tiled floor",
        stuff_indoor.paint_tiled_floor,
    ),
)

STUFF: dict[str, Stuff] = {stuff.name: stuff for stuff in _ALL}
