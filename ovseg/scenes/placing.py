"""Things on a backdrop: which ones, where, how large, and the shadows they throw."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ovseg.scenes.fields import blend_layer
from ovseg.scenes.layout import Backdrop
from ovseg.scenes.stuff import STUFF
from ovseg.scenes.things import THINGS, Thing, render_thing

__all__ = ["THING_IDS", "Placed", "place_things"]

THING_IDS: dict[str, int] = {name: len(STUFF) + i for i, name in enumerate(THINGS)}

_NAMES = tuple(THINGS)
_STUFF_NAMES = tuple(STUFF)
# Place to the things that belong there; one that belongs in several places is rarer in each, so
# that all things are about equally frequent.
_FITTING = {
    place: [
        name
        for name in _NAMES
        for _ in range(6 // len(THINGS[name].places))
        if place in THINGS[name].places
    ]
    for place in sorted({stuff.place for stuff in STUFF.values()})
}
_SMALLEST = 8  # pixels: the shortest side of a drawn thing
_GROWTH = 1.2  # a thing at the front edge is larger than its usual scale by this much
_TRIES = 5
_COVERED = 0.45  # share of another thing that a new one may hide


@dataclass(frozen=True)
class Placed:
    """One drawn thing: its class, its color word and the stuff under its base."""

    name: str
    color: str | None
    ground: str


@dataclass(frozen=True)
class _Spot:
    """Where a thing goes: top left corner, side in pixels, the stuff under its base."""

    left: int
    top: int
    side: int
    ground: str


def place_things(
    scene: Backdrop, rng: np.random.Generator, *, held_out_colors: bool
) -> tuple[list[Placed], np.ndarray]:
    """Draw two to six things on a backdrop, the farther ones first.

    Args:
        scene: the backdrop; its image and its labels are changed in place.
        rng: source of randomness.
        held_out_colors: whether colors that training never shows may be drawn.

    Returns:
        The things in the order of drawing, and the (H, W) uint8 index of the topmost thing,
        255 where there is none. A thing may be hidden altogether by later ones.
    """
    surface = scene.labels.copy()
    plans = [_plan(surface, rng) for _ in range(int(rng.integers(2, 7)))]
    plans.sort(key=lambda plan: plan[1].top + plan[1].side)
    instances = np.full(surface.shape, 255, np.uint8)
    placed: list[Placed] = []
    for thing, spot in plans:
        color = _color(thing, rng, held_out_colors)
        tilt = float(rng.uniform(-thing.tilt, thing.tilt))
        rgb, alpha = render_thing(thing.name, color, spot.side, tilt, rng)
        free = _free_spot(thing, spot, alpha, instances, surface, rng)
        if free is None:
            continue
        _paste(scene, instances, rgb, alpha, free, THING_IDS[thing.name], len(placed))
        placed.append(Placed(thing.name, color, free.ground))
    return placed, instances


def _plan(surface: np.ndarray, rng: np.random.Generator) -> tuple[Thing, _Spot]:
    """Choose a thing: two times out of three one that belongs to some stuff of the scene."""
    if rng.random() < 2 / 3:
        y, x = _anywhere(surface, rng)
        names = _FITTING[STUFF[_STUFF_NAMES[surface[y, x]]].place]
        thing = THINGS[names[int(rng.integers(len(names)))]]
        return thing, _spot(thing, surface, rng, fitting=True)
    thing = THINGS[_NAMES[int(rng.integers(len(_NAMES)))]]
    return thing, _spot(thing, surface, rng, fitting=False)


def _spot(
    thing: Thing, surface: np.ndarray, rng: np.random.Generator, *, fitting: bool, side: int = 0
) -> _Spot:
    """A place for a thing: its base, or its middle in the sky, lies on the drawn pixel."""
    height, width = surface.shape
    y, x = _anywhere(surface, rng)
    for _ in range(8):
        if not fitting or STUFF[_STUFF_NAMES[surface[y, x]]].place in thing.places:
            break
        y, x = _anywhere(surface, rng)
    place = STUFF[_STUFF_NAMES[surface[y, x]]].place
    if not side:
        low, high = thing.scale
        nearness = y / height if place != "sky" else rng.random()
        share = low + (high * _GROWTH - low) * (0.4 * nearness + 0.6 * rng.random())
        side = max(_SMALLEST, round(share * min(height, width)))
    base = side // 2 if place == "sky" else round(side * 0.92)
    top = min(max(y - base, -side // 4), height - (side * 3) // 4)
    left = min(max(x - side // 2, -side // 4), width - (side * 3) // 4)
    foot_y = min(max(top + base, 0), height - 1)
    foot_x = min(max(left + side // 2, 0), width - 1)
    return _Spot(left, top, side, _STUFF_NAMES[surface[foot_y, foot_x]])


def _anywhere(surface: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(surface.shape[0])), int(rng.integers(surface.shape[1]))


def _color(thing: Thing, rng: np.random.Generator, held_out: bool) -> str | None:
    words = [c for c in thing.colors if held_out or c not in thing.held_out_colors]
    return words[int(rng.integers(len(words)))] if words else None


def _free_spot(
    thing: Thing,
    spot: _Spot,
    alpha: np.ndarray,
    instances: np.ndarray,
    surface: np.ndarray,
    rng: np.random.Generator,
) -> _Spot | None:
    """The spot, or another one, where no earlier thing is mostly hidden; None if all are bad."""
    solid = alpha >= 128
    areas = np.bincount(instances.ravel(), minlength=256)
    for _ in range(_TRIES):
        window, part = _windows(spot, instances.shape)
        hidden = np.bincount(instances[window][solid[part]], minlength=256)
        if not np.any(hidden[:255] > _COVERED * areas[:255]):
            return spot
        spot = _spot(thing, surface, rng, fitting=True, side=spot.side)
    return None


def _windows(spot: _Spot, shape: tuple[int, int]) -> tuple[tuple[slice, slice], ...]:
    """The slices of the image and of the thing's own square where the two overlap."""
    top, left = max(spot.top, 0), max(spot.left, 0)
    bottom = min(spot.top + spot.side, shape[0])
    right = min(spot.left + spot.side, shape[1])
    part = np.s_[top - spot.top : bottom - spot.top, left - spot.left : right - spot.left]
    return np.s_[top:bottom, left:right], part


def _paste(
    scene: Backdrop,
    instances: np.ndarray,
    rgb: np.ndarray,
    alpha: np.ndarray,
    spot: _Spot,
    class_id: int,
    index: int,
) -> None:
    window, part = _windows(spot, instances.shape)
    if spot.ground != "sky":
        _shadow(scene, alpha, spot)
    solid = alpha[part] >= 128
    scene.image[window] = blend_layer(scene.image[window], rgb[part], alpha[part])
    scene.labels[window][solid] = class_id
    instances[window][solid] = index


def _shadow(scene: Backdrop, alpha: np.ndarray, spot: _Spot) -> None:
    """Darken what lies under and beside the thing, softly."""
    side = spot.side
    soft = cv2.blur(alpha, (max(3, side // 8), max(3, side // 8)))
    shift = max(1, side // 16)
    moved = _Spot(spot.left + shift, spot.top + shift, side, spot.ground)
    window, part = _windows(moved, scene.labels.shape)
    scene.image[window] = blend_layer(scene.image[window], (0, 0, 0), soft[part] // 3)
