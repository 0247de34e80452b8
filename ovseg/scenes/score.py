"""Scores on the synthetic world: scenes of given seeds against their exact label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ovseg.evaluation.confusion import IoUCounts
from ovseg.scenes.things import THINGS
from ovseg.scenes.world import Scene, SceneRegion, draw_scene

__all__ = ["EVALUATION_SEEDS", "chance", "class_map", "held_out_pairs", "score", "synonym_list"]

EVALUATION_SEEDS = range(2_000_000, 2_000_200)
"""The fixed evaluation split: the first 200 seeds of the split ``test``."""


def region_name(region: SceneRegion, *, colors: bool) -> str:
    """What a region is called in the vocabulary ``scenes``, or in ``scenes_colours``."""
    return f"{region.color} {region.name}" if colors and region.color else region.name


def class_map(scene: Scene, classes: tuple[str, ...], *, colors: bool = False) -> np.ndarray:
    """Label map of a scene in another list of classes.

    Args:
        scene: the scene.
        classes: labels of the vocabulary.
        colors: whether its things are named with their color.

    Returns:
        (H, W) int64 indices into ``classes``; -1 for pixels of no region or of a class that is
        not in the list.
    """
    place = {name: index for index, name in enumerate(classes)}
    table = np.full(256, -1, np.int64)
    for index, region in enumerate(scene.regions):
        table[index] = place.get(region_name(region, colors=colors), -1)
    return table[scene.instances]


def score(
    predict: Callable[[np.ndarray], np.ndarray],
    classes: tuple[str, ...],
    seeds: Iterable[int] = EVALUATION_SEEDS,
    *,
    colors: bool = False,
) -> IoUCounts:
    """Count a model's hits over drawn scenes.

    Args:
        predict: (H, W, 3) uint8 RGB to (H, W) indices into ``classes``.
        classes: labels of the vocabulary that the model was asked for.
        seeds: which scenes.
        colors: whether things are named with their color.
    """
    counts = IoUCounts(len(classes), ignore=-1)
    for seed in seeds:
        scene = draw_scene(seed)
        counts.update(predict(scene.image), class_map(scene, classes, colors=colors))
    return counts


def chance(classes: tuple[str, ...], seeds: Iterable[int] = EVALUATION_SEEDS) -> IoUCounts:
    """Score of a guess: each patch of 8 x 8 pixels gets a class by lot."""
    rng = np.random.default_rng(0)

    def guess(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        cells = rng.integers(len(classes), size=(-(-height // 8), -(-width // 8)))
        return cells.repeat(8, 0).repeat(8, 1)[:height, :width]

    return score(guess, classes, seeds)


def held_out_pairs() -> frozenset[str]:
    """Names such as ``blue car`` whose color and noun never met in training."""
    return frozenset(
        f"{color} {thing.name}" for thing in THINGS.values() for color in thing.held_out_colors
    )


def synonym_list(glossary: Iterable[tuple[str, str]], classes: tuple[str, ...]) -> list[str]:
    """Vocabulary entries that ask for each class by a word never seen with its image.

    Args:
        glossary: (held-out synonym, class name) pairs.
        classes: class names; one without a held-out synonym keeps its own name.

    Returns:
        One ``label: prompt`` line a class.

    Example:
        >>> synonym_list([("automobile", "car")], ("car", "sky"))
        ['car: automobile', 'sky']
    """
    words: dict[str, str] = {}
    for word, name in glossary:
        words.setdefault(name, word)
    return [f"{name}: {words[name]}" if name in words else name for name in classes]
