"""`ovseg scenes`: draw images with exact label maps."""

from __future__ import annotations

import argparse
import re

from ovseg.errors import ConfigError, InputError

__all__ = ["EXAMPLE", "HELP", "add_arguments", "run"]

HELP: str = "draw images with exact label maps, without any download"
EXAMPLE: str = "ovseg scenes drawn --count 100 --size 224x224"

_FIRST_SEED = 1_000_000  # of the val split; here in full, because the synthetic world loads OpenCV


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("out", metavar="OUT", help="folder for img_dir/, ann_dir/, classes.txt")
    parser.add_argument("--count", type=int, required=True, metavar="N", help="how many scenes")
    parser.add_argument(
        "--seed",
        type=int,
        default=_FIRST_SEED,
        metavar="S",
        help="first seed, one scene a seed: training 0-999999, validation 1000000-1099999, "
        "test 2000000-2099999 (default: %(default)s)",
    )
    parser.add_argument(
        "--size", default="224x224", metavar="HxW", help="height x width (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Draw the scenes and say where they are.

    Returns:
        0.

    Raises:
        ConfigError: if size, count or seeds are out of range.
        InputError: if OUT cannot be written.
    """
    from ovseg.scenes.write import write_scenes
    from ovseg.utils.progress import Progress

    size = _checked_size(args)
    with Progress(args.count) as bar:
        folder = write_scenes(args.out, args.count, args.seed, size, lambda *_: bar.step())
    last = args.seed + args.count - 1
    print(f"{args.count} scenes of {size[0]}x{size[1]} px, seeds {args.seed} to {last}: {folder}")
    return 0


def _checked_size(args: argparse.Namespace) -> tuple[int, int]:
    """Return (height, width) once all three numbers are known to be usable."""
    from ovseg.scenes.world import check_scene_size, check_seeds

    size = _size(args.size)
    try:
        check_seeds(args.seed, args.count)
        return check_scene_size(size)
    except InputError as error:
        raise ConfigError(error.what, expected=error.expected, fix=error.fix) from error


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip().lower())
    if found is None:
        raise ConfigError(
            f"cannot read the size {text!r}", where="--size", expected="HxW, such as 224x320"
        )
    return int(found[1]), int(found[2])
