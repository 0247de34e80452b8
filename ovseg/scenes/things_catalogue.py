"""The 28 things of the synthetic world: their names, their colors and where they belong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ovseg.scenes import things_animals as animals
from ovseg.scenes import things_handheld as handheld
from ovseg.scenes import things_indoor as indoor
from ovseg.scenes import things_plants as plants
from ovseg.scenes import things_sky as sky
from ovseg.scenes import things_street as street
from ovseg.scenes.colors import RGB
from ovseg.scenes.pen import Pen

__all__ = ["THINGS", "Thing"]

Draw = Callable[[Pen, RGB, np.random.Generator], None]


@dataclass(frozen=True)
class Thing:
    """One drawable thing.

    Attributes:
        name: the class name.
        draw: draws it on a pen in a main color.
        synonyms: other names, shown in training captions.
        held_out_synonyms: other names, never in a training caption.
        colors: words that its main color may have; empty if no color word describes it.
        held_out_colors: those of `colors` that are never drawn in the training split.
        places: where it belongs, among "sky", "ground", "water", "road", "indoor".
        scale: smallest and largest side as a share of the image's short side.
        tilt: largest rotation to either side, degrees.
    """

    name: str
    draw: Draw
    synonyms: tuple[str, ...]
    held_out_synonyms: tuple[str, ...]
    colors: tuple[str, ...]
    held_out_colors: tuple[str, ...]
    places: tuple[str, ...]
    scale: tuple[float, float]
    tilt: float


def _words(line: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in line.split(",") if word.strip())


def _thing(
    name: str,
    draw: Draw,
    scale: tuple[float, float],
    tilt: float,
    *,
    places: str,
    colors: str = "",
    never: str = "",
    also: str = "",
    unseen: str = "",
) -> Thing:
    """Writes one row of the table: comma-separated lists, in the order in which one reads them."""
    return Thing(
        name=name,
        draw=draw,
        synonyms=_words(also),
        held_out_synonyms=_words(unseen),
        colors=_words(colors),
        held_out_colors=_words(never),
        places=_words(places),
        scale=scale,
        tilt=tilt,
    )


_ANY = "red, orange, yellow, green, blue, purple, pink, brown, white, black"

# A table reads better with one short block a row than with one line a value.
# fmt: off
_ROWS = (
    _thing(
        "house", street.house, (0.28, 0.5), 4,
        places="ground", colors="red, orange, yellow, green, blue, purple, pink, brown, white",
        never="purple", also="home, cottage", unseen="dwelling",
    ),
    _thing(
        "tree", plants.tree, (0.28, 0.5), 5,
        places="ground", colors="green, orange, yellow, red, pink, white", also="woody plant",
        unseen="sapling",
    ),
    _thing(
        "car", street.car, (0.24, 0.44), 8,
        places="road, ground", colors=_ANY, never="blue", also="motorcar, auto",
        unseen="automobile",
    ),
    _thing(
        "bus", street.bus, (0.28, 0.48), 6,
        places="road", colors=_ANY, never="orange", also="omnibus, passenger bus", unseen="coach",
    ),
    _thing(
        "boat", street.boat, (0.26, 0.46), 12,
        places="water", colors=_ANY, never="red", also="sailboat, ship", unseen="yacht",
    ),
    _thing(
        "rocket", sky.rocket, (0.26, 0.46), 50,
        places="sky", colors=_ANY + ", grey", never="green", also="spaceship, space rocket",
        unseen="spacecraft",
    ),
    _thing(
        "sun", sky.sun, (0.2, 0.36), 30,
        places="sky", colors="yellow, orange, red", also="bright sun",
    ),
    _thing(
        "moon", sky.moon, (0.18, 0.34), 40,
        places="sky", colors="white, yellow, grey, orange", also="crescent moon",
    ),
    _thing(
        "star", sky.star, (0.16, 0.34), 36,
        places="sky", colors="yellow, white, orange, red, pink, blue, green", never="green",
        also="five-pointed star",
    ),
    _thing(
        "cloud", sky.cloud, (0.26, 0.48), 6,
        places="sky", colors="white, grey, pink", also="fluffy cloud",
    ),
    _thing(
        "balloon", sky.balloon, (0.24, 0.42), 12,
        places="sky", colors=_ANY, never="white", also="air balloon",
    ),
    _thing(
        "kite", sky.kite, (0.22, 0.42), 40,
        places="sky", colors=_ANY, never="orange", also="toy kite", unseen="paper kite",
    ),
    _thing(
        "bird", animals.bird, (0.2, 0.36), 18,
        places="sky, ground", colors=_ANY, never="white", also="birdie, little bird",
        unseen="songbird",
    ),
    _thing(
        "butterfly", animals.butterfly, (0.18, 0.34), 40,
        places="sky, ground", colors=_ANY, never="purple", also="winged insect", unseen="moth",
    ),
    _thing(
        "fish", animals.fish, (0.2, 0.38), 20,
        places="water", colors=_ANY + ", grey", never="pink", also="little fish", unseen="minnow",
    ),
    _thing(
        "flower", plants.flower, (0.2, 0.38), 12,
        places="ground", colors="red, orange, yellow, blue, purple, pink, white", never="blue",
        also="bloom", unseen="blossom",
    ),
    _thing(
        "mushroom", plants.mushroom, (0.18, 0.36), 8,
        places="ground", colors="red, orange, yellow, brown, white, purple, grey", never="yellow",
        also="fungus", unseen="toadstool",
    ),
    _thing(
        "cactus", plants.cactus, (0.24, 0.44), 6,
        places="ground", also="desert plant", unseen="succulent",
    ),
    _thing(
        "snowman", street.snowman, (0.26, 0.46), 6,
        places="ground", also="snow figure",
    ),
    _thing(
        "ball", handheld.ball, (0.16, 0.34), 90,
        places="ground, indoor, water", colors=_ANY, never="green", also="toy ball",
        unseen="sphere",
    ),
    _thing(
        "umbrella", handheld.umbrella, (0.24, 0.42), 25,
        places="ground, indoor", colors=_ANY, never="yellow", also="brolly", unseen="parasol",
    ),
    _thing(
        "cup", indoor.cup, (0.18, 0.34), 8,
        places="indoor", colors=_ANY, never="black", also="mug", unseen="teacup",
    ),
    _thing(
        "clock", indoor.clock, (0.2, 0.36), 10,
        places="indoor", colors=_ANY, never="brown", also="wall clock", unseen="timepiece",
    ),
    _thing(
        "lamp", indoor.lamp, (0.24, 0.42), 5,
        places="indoor", colors=_ANY, also="table lamp", unseen="reading light",
    ),
    _thing(
        "chair", indoor.chair, (0.26, 0.46), 6,
        places="indoor", colors=_ANY, never="pink", also="dining chair", unseen="seat",
    ),
    _thing(
        "book", handheld.book, (0.2, 0.36), 30,
        places="indoor", colors=_ANY, never="white", also="storybook, volume", unseen="novel",
    ),
    _thing(
        "apple", plants.apple, (0.16, 0.32), 20,
        places="indoor, ground", colors="red, green, yellow", also="ripe apple", unseen="fruit",
    ),
    _thing(
        "hat", handheld.hat, (0.2, 0.36), 15,
        places="indoor", colors=_ANY + ", grey", never="orange", also="headwear",
        unseen="headgear",
    ),
)
# fmt: on

THINGS: dict[str, Thing] = {thing.name: thing for thing in _ROWS}
