"""The color words of the synthetic world and the shades that each of them covers.

A word is a short list of anchor shades. A drawn color is a mix of two anchors of one word plus a
little noise, so that "red" is not one value and yet never reads as another word.
"""

from __future__ import annotations

import numpy as np

from ovseg.errors import PromptError

__all__ = ["COLORS", "RGB", "contrast", "is_dark", "mix_colors", "nearest_color", "sample_color"]

RGB = tuple[int, int, int]

COLORS: dict[str, tuple[RGB, ...]] = {
    "red": ((214, 36, 38), (178, 22, 36), (230, 52, 44)),
    "orange": ((242, 136, 22), (250, 152, 38), (232, 122, 12)),
    "yellow": ((250, 218, 40), (240, 200, 24), (252, 232, 88)),
    "green": ((48, 150, 60), (28, 112, 52), (96, 184, 64)),
    "blue": ((40, 92, 210), (28, 62, 160), (66, 138, 232)),
    "purple": ((126, 46, 172), (98, 34, 138), (150, 78, 206)),
    "pink": ((246, 138, 188), (250, 164, 204), (236, 112, 168)),
    "brown": ((128, 78, 40), (104, 62, 32), (150, 98, 56)),
    "white": ((244, 244, 242), (232, 236, 240), (250, 246, 234)),
    "black": ((30, 30, 34), (20, 22, 28), (42, 40, 44)),
    "grey": ((138, 142, 148), (118, 120, 126), (160, 162, 164)),
}

_NOISE = 5


def sample_color(word: str, rng: np.random.Generator) -> RGB:
    """Draws one shade of a color word.

    Args:
        word: a key of `COLORS`.
        rng: the source of chance.

    Returns:
        (red, green, blue), each in 0..255.

    Raises:
        PromptError: if the word is not a known color.
    """
    if word not in COLORS:
        raise PromptError(
            f"unknown color {word!r}", expected="one of " + ", ".join(COLORS), where="color"
        )
    shades = COLORS[word]
    first, second = rng.integers(len(shades), size=2)
    red, green, blue = mix_colors(shades[first], shades[second], rng.random())
    noise = rng.integers(-_NOISE, _NOISE + 1, size=3)
    return _clip(red + int(noise[0])), _clip(green + int(noise[1])), _clip(blue + int(noise[2]))


def nearest_color(rgb: RGB) -> str:
    """Names the color word whose shades lie closest.

    Args:
        rgb: (red, green, blue), each in 0..255.

    Returns:
        A key of `COLORS`.

    Example:
        >>> nearest_color((220, 30, 30))
        'red'
    """

    def distance(word: str) -> float:
        return min(
            sum((float(a) - float(b)) ** 2 for a, b in zip(rgb, shade, strict=True))
            for shade in COLORS[word]
        )

    return min(COLORS, key=distance)


def mix_colors(first: RGB, second: RGB, share: float) -> RGB:
    """Blends two colors.

    Args:
        first: the color at share 0.
        second: the color at share 1.
        share: weight of the second, 0..1.

    Returns:
        The blend, rounded.

    Example:
        >>> mix_colors((0, 0, 0), (200, 100, 50), 0.5)
        (100, 50, 25)
    """
    red, green, blue = (int(a + (b - a) * share + 0.5) for a, b in zip(first, second, strict=True))
    return red, green, blue


def is_dark(rgb: RGB) -> bool:
    """Tells whether light details show better than dark ones on a color (Rec. 601 luma)."""
    return 299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] < 70_000


def contrast(rgb: RGB, share: float = 0.3) -> RGB:
    """Shifts a color so that details in it show: darker, or lighter if it is dark already."""
    return mix_colors(rgb, (255, 255, 255) if is_dark(rgb) else (20, 18, 24), share)


def _clip(value: int) -> int:
    return min(max(value, 0), 255)
