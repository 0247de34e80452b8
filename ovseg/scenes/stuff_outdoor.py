"""Textures of the open air: sky, grass, sea, sand, road, snow, mountain, hedge.

Every painter takes (height, width, rng, unit) and returns (height, width, 3) uint8; `unit` is
the number of pixels that one pixel of a 224-pixel image spans, and the top row is the farthest.
"""

from __future__ import annotations

import cv2
import numpy as np

from ovseg.scenes.fields import RGB, noise, paint_ramp, recede, relief, weighted_mean

__all__ = [
    "paint_grass",
    "paint_hedge",
    "paint_mountain",
    "paint_road",
    "paint_sand",
    "paint_sea",
    "paint_sky",
    "paint_snow",
]

_SKIES: tuple[tuple[RGB, ...], ...] = (
    ((64, 118, 214), (126, 174, 238), (196, 222, 246)),
    ((92, 150, 232), (150, 196, 246), (220, 236, 250)),
    ((40, 84, 176), (88, 140, 216), (150, 190, 236)),
    ((150, 162, 180), (178, 188, 202), (204, 210, 220)),
    ((86, 72, 150), (214, 116, 140), (252, 180, 110)),
    ((226, 96, 92), (248, 150, 92), (254, 206, 130)),
    ((150, 120, 190), (232, 150, 190), (250, 206, 214)),
    ((8, 10, 38), (16, 22, 66), (34, 46, 104)),
    ((14, 10, 34), (38, 24, 78), (78, 50, 116)),
)
_GRASSES: tuple[tuple[RGB, ...], ...] = (
    ((22, 74, 20), (62, 136, 42), (132, 196, 74)),
    ((34, 96, 16), (86, 168, 34), (158, 216, 70)),
    ((30, 60, 16), (84, 112, 36), (150, 164, 72)),
    ((12, 66, 34), (36, 124, 60), (98, 188, 104)),
)
_SEAS: tuple[tuple[RGB, ...], ...] = (
    ((6, 34, 92), (14, 58, 132), (26, 84, 164), (70, 138, 206), (226, 238, 248)),
    ((4, 54, 112), (8, 88, 152), (24, 120, 182), (78, 178, 218), (228, 246, 250)),
    ((0, 82, 100), (10, 122, 138), (28, 154, 164), (100, 206, 204), (232, 250, 246)),
    ((8, 58, 60), (20, 84, 84), (36, 112, 108), (92, 164, 152), (218, 236, 228)),
    ((8, 20, 54), (16, 34, 76), (30, 56, 104), (66, 100, 150), (176, 196, 222)),
)
_SANDS: tuple[tuple[RGB, ...], ...] = (
    ((176, 138, 84), (214, 180, 122), (240, 214, 164)),
    ((190, 146, 62), (232, 192, 96), (250, 224, 148)),
    ((170, 98, 54), (208, 138, 84), (236, 178, 124)),
    ((186, 164, 128), (220, 200, 164), (242, 228, 198)),
)
_SNOWS: tuple[tuple[RGB, ...], ...] = (
    ((162, 186, 222), (226, 234, 246), (255, 255, 255)),
    ((142, 166, 216), (202, 216, 242), (248, 250, 255)),
    ((196, 180, 214), (240, 228, 240), (255, 252, 252)),
)
_ROCKS: tuple[tuple[RGB, ...], ...] = (
    ((40, 40, 46), (112, 112, 120), (186, 186, 192)),
    ((48, 36, 28), (122, 96, 76), (194, 168, 142)),
    ((40, 40, 54), (104, 104, 126), (174, 174, 196)),
    ((62, 34, 28), (142, 90, 72), (208, 158, 132)),
)
_LEAVES: tuple[tuple[RGB, ...], ...] = (
    ((4, 22, 8), (18, 72, 26), (60, 128, 48)),
    ((6, 26, 20), (20, 80, 58), (70, 138, 100)),
    ((14, 24, 4), (52, 76, 20), (112, 132, 48)),
)

_DIRECTIONS = np.asarray(
    [(1.0, 0.0), (0.924, 0.383), (0.707, 0.707), (0.383, 0.924)]
    + [(0.0, 1.0), (-0.383, 0.924), (-0.707, 0.707), (-0.924, 0.383)]
)
# Outline of a leaf as (along, aside), both in -1 to 1.
_LEAF = np.asarray([(1.0, 0.0), (0.3, 0.9), (-0.4, 0.9), (-1.0, 0.0), (-0.4, -0.9), (0.3, -0.9)])


def _choose(rng: np.random.Generator, palettes: tuple[tuple[RGB, ...], ...]) -> np.ndarray:
    """One of the palettes with a small shift of all its colors."""
    palette = np.asarray(palettes[int(rng.integers(len(palettes)))])
    return np.clip(palette + rng.integers(-10, 11, (1, 3)), 0, 255)


def paint_sky(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Smooth gradient from day to night, with faint haze."""
    rows = np.linspace(0.0, 255.0, height).astype(np.uint8)[:, None]
    haze = noise(rng, height, width, (26 * unit, 70 * unit))
    index = weighted_mean(
        (7, np.broadcast_to(rows, (height, width))), (int(rng.integers(0, 3)), haze)
    )
    return paint_ramp(index, _choose(rng, _SKIES))


def paint_grass(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Upright blades, finer in the distance, over slow patches of light."""
    blades = noise(rng, height, width, (8 * unit, 1.6 * unit))
    tufts = noise(rng, height, width, (12 * unit, 4 * unit))
    blades = weighted_mean((2, blades), (1, tufts))[recede(height, float(rng.uniform(0.8, 3.0)))]
    slow = noise(rng, height, width, 46 * unit)
    return paint_ramp(_stretch(weighted_mean((3, blades), (1, slow))), _choose(rng, _GRASSES))


def paint_sea(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Long flat waves with a few bright crests, smaller in the distance."""
    waves = noise(rng, height, width, (3.4 * unit, 24 * unit))
    chop = noise(rng, height, width, (2.2 * unit, 9 * unit))
    rows = recede(height, float(rng.uniform(0.4, 1.5)))
    swell = noise(rng, height, width, (16 * unit, 60 * unit))
    index = weighted_mean((4, weighted_mean((2, waves), (1, chop))[rows]), (1, swell))
    return paint_ramp(_stretch(index), _choose(rng, _SEAS))


def paint_sand(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Grains and wind ripples."""
    grain = noise(rng, height, width, max(1.0, 1.3 * unit))
    bend = noise(rng, height, width, (24 * unit, 40 * unit)).astype(np.uint32)
    rows = recede(height, float(rng.uniform(0.6, 2.0))).astype(np.uint32)[:, None]
    period = float(rng.uniform(9.0, 16.0)) * unit
    phase = (rows * np.uint32(round(256 / period)) + bend * np.uint32(3)) & 255
    ripple = np.abs(phase.astype(np.int16) * 2 - 255).astype(np.uint8)
    slow = noise(rng, height, width, 60 * unit)
    share = int(rng.integers(1, 4))
    return paint_ramp(weighted_mean((3, grain), (share, ripple), (2, slow)), _choose(rng, _SANDS))


def paint_road(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Dark asphalt: fine grit and faint stains."""
    grit = noise(rng, height, width, max(1.0, 1.2 * unit))
    stain = noise(rng, height, width, (30 * unit, 20 * unit))
    level = int(rng.integers(52, 88))
    tone = np.asarray([level, level, level + int(rng.integers(0, 9))])
    return paint_ramp(weighted_mean((3, grit), (2, stain)), (tone - 34, tone, tone + 44))


def paint_snow(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """White drifts with bluish shadows and a few sparkles."""
    drift = noise(rng, height, width, (15 * unit, 30 * unit))[recede(height, 1.5)]
    lit = relief(drift, round(4 * unit), 12)
    bump = relief(noise(rng, height, width, 6 * unit), round(2 * unit), 2)
    index = cv2.add(weighted_mean((3, lit), (1, bump)), np.full((height, width), 26, np.uint8))
    sparkle = noise(rng, height, width, max(1.0, 1.5 * unit)) > 246
    index[sparkle] = 255
    return paint_ramp(index, _choose(rng, _SNOWS))


def paint_mountain(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Bare rock in hard light: large faces, broken by small ones."""
    faces = noise(rng, height, width, (26 * unit, 20 * unit), facets=True)
    crags = noise(rng, height, width, (11 * unit, 7 * unit), facets=True)
    chips = noise(rng, height, width, 4 * unit)
    faces = relief(faces, max(1, round(2 * unit)), 14)
    crags = relief(crags, max(1, round(2 * unit)), 8)
    chips = relief(chips, max(1, round(unit)), 5)
    return paint_ramp(
        _stretch(weighted_mean((4, faces), (4, crags), (2, chips))), _choose(rng, _ROCKS)
    )


def paint_hedge(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Pointed leaves, light ones over dark ones, in rounded clumps."""
    leaves = _leaves(rng, round(float(rng.uniform(64.0, 88.0)) * max(unit, 0.25)), unit)
    times = (height // leaves.shape[0] + 1, width // leaves.shape[1] + 1)
    leaves = np.tile(leaves, times)[:height, :width]
    clumps = noise(rng, height, width, 18 * unit)
    return paint_ramp(_stretch(weighted_mean((3, leaves), (2, clumps))), _choose(rng, _LEAVES))


def _leaves(rng: np.random.Generator, side: int, unit: float) -> np.ndarray:
    """A square of leaves as uint8 brightness that continues over its own edges."""
    count = 150
    half = np.maximum(rng.uniform(2.6, 5.0, count) * unit, 1.0)
    # Directions from a short table: sines differ in the last digit between machines.
    across, down = _DIRECTIONS[rng.integers(len(_DIRECTIONS), size=count)].T
    along = np.stack([across, down], axis=-1)[:, None] * half[:, None, None]
    aside = np.stack([-down, across], axis=-1)[:, None] * (half * 0.48)[:, None, None]
    outline = along * _LEAF[None, :, :1] + aside * _LEAF[None, :, 1:]
    middles = rng.integers(0, side, (count, 2))
    tile = np.full((side, side), 12, np.uint8)
    reach = int(6 * unit) + 1
    for i in range(count):
        brightness = 50 + i * 205 // count
        for shift in _wraps(middles[i], side, reach):
            corners = np.rint((outline[i] + middles[i] + shift) * 16.0).astype(np.int32)
            cv2.fillConvexPoly(tile, corners, brightness, shift=4)
    return tile


def _wraps(middle: np.ndarray, side: int, reach: int) -> list[tuple[int, int]]:
    """The shifts by whole tiles under which a shape near an edge shows up again."""
    options = [
        (0, side) if place < reach else (0, -side) if place >= side - reach else (0,)
        for place in middle.tolist()
    ]
    return [(x, y) for x in options[0] for y in options[1]]


def _stretch(index: np.ndarray) -> np.ndarray:
    """More contrast round the middle: means of fields crowd there."""
    table = np.clip((np.arange(256) - 128) * 7 // 4 + 128, 0, 255).astype(np.uint8)
    return cv2.LUT(index, table)
