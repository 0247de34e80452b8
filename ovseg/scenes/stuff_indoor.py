"""Textures of rooms: brick wall, wooden floor, carpet, tiled floor.

Every painter takes (height, width, rng, unit) and returns (height, width, 3) uint8; `unit` is
the number of pixels that one pixel of a 224-pixel image spans.
"""

from __future__ import annotations

import numpy as np

from ovseg.scenes.fields import RGB, noise, paint_ramp, weighted_mean

__all__ = ["paint_brick_wall", "paint_carpet", "paint_tiled_floor", "paint_wooden_floor"]

# (mortar, darkest brick, lightest brick)
_BRICKS: tuple[tuple[RGB, RGB, RGB], ...] = (
    ((196, 186, 174), (118, 42, 30), (190, 96, 72)),
    ((88, 74, 66), (128, 56, 40), (204, 112, 84)),
    ((206, 204, 200), (92, 92, 96), (164, 164, 168)),
    ((150, 132, 84), (168, 136, 62), (226, 198, 112)),
    ((120, 104, 92), (104, 70, 50), (170, 128, 98)),
    ((168, 164, 160), (196, 186, 176), (236, 230, 222)),
)
# (seam, dark grain, light grain)
_WOODS: tuple[tuple[RGB, RGB, RGB], ...] = (
    ((70, 40, 16), (150, 96, 46), (212, 158, 96)),
    ((84, 48, 18), (176, 112, 50), (232, 178, 106)),
    ((28, 14, 8), (78, 44, 26), (134, 86, 56)),
    ((50, 14, 8), (116, 48, 30), (176, 92, 62)),
    ((110, 84, 56), (190, 154, 112), (236, 210, 172)),
)
# (grout, first tile, second tile)
_TILES: tuple[tuple[RGB, RGB, RGB], ...] = (
    ((120, 120, 120), (236, 236, 232), (36, 36, 40)),
    ((150, 150, 150), (240, 240, 240), (92, 132, 180)),
    ((110, 100, 92), (236, 228, 208), (150, 84, 58)),
    ((190, 190, 186), (110, 156, 142), (226, 234, 228)),
    ((90, 84, 80), (204, 196, 184), (168, 158, 146)),
    ((96, 90, 96), (226, 206, 214), (140, 60, 84)),
)
_CARPETS: tuple[tuple[RGB, RGB], ...] = (
    ((124, 24, 44), (226, 198, 150)),
    ((30, 44, 108), (214, 196, 158)),
    ((14, 104, 104), (226, 170, 62)),
    ((96, 34, 120), (206, 160, 220)),
    ((196, 80, 34), (72, 40, 30)),
    ((56, 92, 44), (218, 120, 96)),
    ((176, 44, 96), (70, 60, 130)),
    ((40, 40, 52), (198, 60, 52)),
    ((60, 130, 176), (240, 222, 170)),
    ((214, 110, 140), (110, 30, 70)),
)


def paint_brick_wall(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Courses of bricks, each shifted against the one below."""
    tall = max(3, round(float(rng.uniform(9.0, 15.0)) * unit))
    wide = max(6, round(tall * float(rng.uniform(1.9, 2.6))))
    joint = max(1, round(1.6 * unit))
    row, down = np.divmod(np.arange(height) + int(rng.integers(tall)), tall)
    across = np.arange(width) + int(rng.integers(wide))
    shifted = np.stack([across, across + wide // 2])
    column, along = np.divmod(shifted, wide)
    tones = rng.integers(60, 200, (row[-1] + 1, column.max() + 1), dtype=np.uint8)
    brick = tones[row[:, None], column[row % 2]]
    grit = weighted_mean(
        (2, noise(rng, height, width, 2 * unit)), (1, noise(rng, height, width, 40 * unit))
    )
    index = np.maximum(weighted_mean((2, brick), (1, grit)), 40)
    index[(along < joint)[row % 2]] = 0
    index[down < joint] = 0
    mortar, dark, light = _BRICKS[int(rng.integers(len(_BRICKS)))]
    return paint_ramp(index, _stops(mortar, dark, light, rng))


def paint_wooden_floor(
    height: int, width: int, rng: np.random.Generator, unit: float
) -> np.ndarray:
    """Boards with grain along them, lying across or up the image."""
    upright = bool(rng.integers(2))
    if upright:
        height, width = width, height
    board = max(4, round(float(rng.uniform(13.0, 24.0)) * unit))
    length = max(12, round(float(rng.uniform(70.0, 150.0)) * unit))
    joint = max(1, round(1.2 * unit))
    row, down = np.divmod(np.arange(height) + int(rng.integers(board)), board)
    starts = rng.integers(0, length, row[-1] + 1)
    column, along = np.divmod(np.arange(width)[None] + starts[:, None], length)
    tones = rng.integers(70, 220, (row[-1] + 1, column.max() + 1), dtype=np.uint8)
    tone = np.take_along_axis(tones, column, axis=1)[row]
    grain = noise(rng, height, width, (max(1.0, 1.5 * unit), 34 * unit))
    index = np.maximum(weighted_mean((3, tone), (2, grain)), 44)
    index[(along < joint)[row]] = 0
    index[down < joint] = 0
    seam, dark, light = _WOODS[int(rng.integers(len(_WOODS)))]
    image = paint_ramp(index, _stops(seam, dark, light, rng))
    return np.ascontiguousarray(image.transpose(1, 0, 2)) if upright else image


def paint_carpet(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Woven pattern of two strong colors: zigzag, diamonds, stripes or waves."""
    size = max(4, round(float(rng.uniform(10.0, 20.0)) * unit))
    y = np.arange(height)[:, None]
    x = np.arange(width)[None]
    fold = np.abs(x % (2 * size) - size)
    kind = int(rng.integers(4))
    if kind == 0:
        pattern = (y + fold) % (2 * size) < size
    elif kind == 1:
        pattern = np.abs(y % (2 * size) - size) + fold < size
    elif kind == 2:
        pattern = np.broadcast_to((x // max(2, size // 2)) % 3 == 0, (height, width))
        pattern = pattern ^ (y % (4 * size) < size)
    else:
        pattern = (y * 2 + fold) % (3 * size) < size
    thread = max(1, round(unit))
    weave = ((y // thread + x // thread) % 2 * 26).astype(np.uint8)
    index = weighted_mean((3, np.where(pattern, 214, 40).astype(np.uint8)), (1, weave * 5))
    index = weighted_mean((5, index), (1, noise(rng, height, width, max(1.0, 1.5 * unit))))
    one, two = _CARPETS[int(rng.integers(len(_CARPETS)))]
    shift = rng.integers(-16, 17, 3)
    strong, other = np.asarray(one) + shift, np.asarray(two) + shift
    stops = np.stack([strong * 0.8, strong, strong, other, other, other * 1.1])
    return paint_ramp(index, np.clip(stops, 0, 255))


def paint_tiled_floor(height: int, width: int, rng: np.random.Generator, unit: float) -> np.ndarray:
    """Glossy square tiles in a regular grid, seen at an angle or from above."""
    side = float(rng.uniform(20.0, 34.0)) * unit
    near = float(rng.choice([0.6, 0.9, 1.5, 8.0]))
    rows = (np.arange(height) + 0.5) / height
    depth = near / (rows + near)
    scale = 256.0 * (1.0 + near) / (near * side)  # in 256ths of a tile, at the nearest row
    flat = (1.0 + 0.3 / near) * (1.0 + near) * height * scale  # a low view shortens tiles
    across = (np.arange(width) - width * float(rng.uniform(0.2, 0.8))) * scale
    u = (across[None] * depth[:, None]).astype(np.int32)
    v = (flat * (1.0 - depth)).astype(np.int32) + int(rng.integers(256))
    tile_x, in_x = u >> 8, u & 255
    tile_y, in_y = (v >> 8)[:, None], (v & 255)[:, None]
    joint = min(90, int(256 * 1.6 * unit / side))
    tones = rng.integers(0, 40, (64, 64), dtype=np.uint8)
    index = tones[tile_y & 63, tile_x & 63] + np.uint8(100)
    if rng.random() < 0.7:
        index += ((tile_x + tile_y) & 1).astype(np.uint8) * np.uint8(115)
    gloss = noise(rng, height, width, (40 * unit, 30 * unit)) >> 3
    index = np.minimum(index, 255 - gloss) + gloss
    index[(in_x < joint) | (in_y < joint)] = 0
    grout, first, second = _TILES[int(rng.integers(len(_TILES)))]
    return paint_ramp(index, _three(grout, first, second, rng))


def _stops(joint: RGB, dark: RGB, light: RGB, rng: np.random.Generator) -> np.ndarray:
    """Ramp whose index 0 is the joint; it turns into the material by index 36."""
    shift = rng.integers(-10, 11, (1, 3))
    steps = np.linspace(0.0, 1.0, 7)[:, None]
    material = np.asarray(dark) * (1.0 - steps) + np.asarray(light) * steps
    return np.clip(np.concatenate([np.asarray([joint]), material]) + shift, 0, 255)


def _three(grout: RGB, first: RGB, second: RGB, rng: np.random.Generator) -> np.ndarray:
    """Ramp with the grout at 0, the first tile round 120, the second round 235."""
    a, b = np.asarray(first), np.asarray(second)
    if rng.random() < 0.5:
        a, b = b, a
    stops = [grout, a * 0.9, a * 0.94, a * 0.98, np.minimum(a * 1.06, 255), b * 0.94, b]
    return np.clip(np.asarray(stops) + rng.integers(-8, 9, (1, 3)), 0, 255)
