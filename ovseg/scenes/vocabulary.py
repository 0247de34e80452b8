"""The synthetic world's vocabulary files, made from the classes themselves.

`python -m ovseg.scenes.vocabulary` writes them anew; a test checks that they agree.
"""

from __future__ import annotations

from pathlib import Path

from ovseg.scenes.stuff import STUFF
from ovseg.scenes.things import THINGS
from ovseg.scenes.world import CLASSES
from ovseg.utils.files import write_atomic

__all__ = ["color_lines", "scene_lines", "write_vocabularies"]


def scene_lines() -> tuple[str, ...]:
    """One line a class, in the order of the class ids: label and query are the class name."""
    return tuple(f"{name}: {name}" for name in CLASSES)


def color_lines() -> tuple[str, ...]:
    """Stuff names, then every thing once a color that it may have, or once if it has none."""
    lines = list(STUFF)
    for thing in THINGS.values():
        lines += [f"{color} {thing.name}" for color in thing.colors] or [thing.name]
    return tuple(lines)


def write_vocabularies(folder: Path) -> None:
    """Write `scenes.txt` and `scenes_colours.txt` into a folder, each file whole."""
    for name, lines in (("scenes", scene_lines()), ("scenes_colours", color_lines())):
        write_atomic(folder / f"{name}.txt", "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    write_vocabularies(Path(__file__).parents[1] / "vocabularies")
