"""Words for scenes: captions of single regions and of whole images.

Training captions use a class name or its training synonyms; held-out synonyms appear only when
another split is asked for, and in `glossary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ovseg.scenes.stuff import STUFF, Stuff
from ovseg.scenes.things import THINGS, Thing
from ovseg.scenes.world import SceneRegion

__all__ = ["Caption", "glossary", "region_caption", "scene_caption", "truth"]

_MAX_WORDS = 20
_THING_TEMPLATES = (
    "{}", "{}", "{}", "a {}", "a {}", "the {}", "a photo of a {}", "a picture of a {}",
    "there is a {} in the scene", "a drawing of a {}", "one {}", "this is a {}",
    "a photo of the {}", "a close view of a {}",
)  # fmt: skip
_STUFF_TEMPLATES = (
    "{}", "{}", "{}", "the {}", "the {}", "a photo of the {}", "a picture of the {}",
    "a view of the {}", "this is the {}", "the {} in the scene", "a drawing of the {}",
    "part of the {}",
)  # fmt: skip
_SCENE_TEMPLATES = (
    "{}", "{}", "{}", "a photo of {}", "a picture of {}", "a scene with {}", "a drawing of {}",
    "there is {}", "we see {}",
)  # fmt: skip
_COLOR_TEMPLATES = (
    "something {}", "a {} thing", "the {} thing", "a {} object", "the {} one", "{}",
)  # fmt: skip
# Words for stuff that stand without an article; plurals do so too.
_MASS = frozenset(
    ("asphalt", "brickwork", "foliage", "grass", "masonry", "parquet", "sand", "snow", "tiling")
    + ("turf", "water")
)
_COLOR_SHARE = 0.5
_ONLY_COLOR_SHARE = 0.15
_SYNONYM_SHARE = 0.3


@dataclass(frozen=True)
class Caption:
    """A text and what it claims.

    Attributes:
        text: the caption.
        class_id: the class that it names; None holds for every thing of the color.
        color: the color that it names; None holds for every region of the class.
    """

    text: str
    class_id: int | None
    color: str | None

    @property
    def key(self) -> tuple[int | None, str | None]:
        """The claim; it is true of a region exactly if it lies in `truth(region)`."""
        return self.class_id, self.color


def truth(region: SceneRegion) -> frozenset[tuple[int | None, str | None]]:
    """Every caption key that holds for a region.

    Example:
        >>> sorted(truth(SceneRegion(14, "car", "red", True)), key=str)
        [(14, 'red'), (14, None), (None, 'red')]
    """
    claims = {(region.class_id, None), (region.class_id, region.color), (None, region.color)}
    return frozenset(claims - {(None, None)})


def region_caption(
    region: SceneRegion, rng: np.random.Generator, *, split: str = "train"
) -> Caption:
    """A short caption of one region.

    Args:
        region: the region.
        rng: source of randomness.
        split: "train" keeps to training words; any other split may use held-out synonyms.

    Returns:
        The caption, with the class and the color that it names.
    """
    if region.color is not None and rng.random() < _ONLY_COLOR_SHARE:
        text = _fill(_choose(_COLOR_TEMPLATES, rng), region.color)
        return Caption(text, None, region.color)
    noun = _noun(region, rng, split)
    color = region.color if rng.random() < _COLOR_SHARE else None
    templates = _THING_TEMPLATES if region.is_thing else _STUFF_TEMPLATES
    text = _fill(_choose(templates, rng), noun if color is None else f"{color} {noun}")
    return Caption(text, region.class_id, color)


def scene_caption(
    regions: Sequence[SceneRegion], rng: np.random.Generator, *, split: str = "train"
) -> str:
    """A caption that names one to five of the regions.

    Args:
        regions: what may be named, at least one; a thing is said to be on some stuff only if
            that stuff is among them too.
        rng: source of randomness.
        split: as in `region_caption`.

    Returns:
        At most 20 words and a few of a template.
    """
    count = min(len(regions), int(rng.integers(1, 6)))
    order = [regions[i] for i in rng.permutation(len(regions))[:count]]
    phrases: list[str] = []
    placed: set[str] = set()
    for region in sorted(order, key=lambda region: not region.is_thing):
        if region.name in placed and not region.is_thing:
            continue
        phrase = _phrase(region, rng, split)
        place = _place_phrase(region, regions, rng)
        if place:
            placed.add(str(region.ground))
        phrase = f"{phrase} {place}" if place else phrase
        if not phrases or sum(len(p.split()) + 1 for p in [*phrases, phrase]) <= _MAX_WORDS:
            phrases.append(phrase)
    return _fill(_choose(_SCENE_TEMPLATES, rng), _join(phrases, rng))


def glossary() -> tuple[tuple[str, str], ...]:
    """(held-out synonym, class name) pairs, for learning words from text alone."""
    entries: tuple[Stuff | Thing, ...] = (*STUFF.values(), *THINGS.values())
    return tuple((word, entry.name) for entry in entries for word in entry.held_out_synonyms)


def _choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _noun(region: SceneRegion, rng: np.random.Generator, split: str) -> str:
    entry = THINGS[region.name] if region.is_thing else STUFF[region.name]
    words = entry.synonyms if split == "train" else entry.synonyms + entry.held_out_synonyms
    return _choose(words, rng) if words and rng.random() < _SYNONYM_SHARE else region.name


def _phrase(region: SceneRegion, rng: np.random.Generator, split: str) -> str:
    noun = _noun(region, rng, split)
    if not region.is_thing:
        bare = noun in _MASS or noun.endswith("s")
        return noun if bare and rng.random() < 0.6 else f"the {noun}"
    if region.color is not None and rng.random() < _COLOR_SHARE:
        noun = f"{region.color} {noun}"
    return _fill("a {}", noun)


def _place_phrase(
    region: SceneRegion, regions: Sequence[SceneRegion], rng: np.random.Generator
) -> str:
    if region.ground is None or rng.random() < 0.5:
        return ""
    known = any(other.name == region.ground for other in regions)
    return STUFF[region.ground].position if known else ""


def _join(phrases: list[str], rng: np.random.Generator) -> str:
    """One list of phrases, in one of a few grammars."""
    if len(phrases) == 1:
        return phrases[0]
    last = _choose((" and ", " and ", " with ", " next to "), rng)
    return ", ".join(phrases[:-1]) + last + phrases[-1]


def _fill(template: str, text: str) -> str:
    """Put the text into the template, with "an" before a vowel."""
    if text[0] in "aeiou":
        template = template.replace("a {}", "an {}")
    return template.format(text)
