"""`ovseg segment`: images and words in, label maps out."""

from __future__ import annotations

import argparse

from ovseg.utils.files import FORMATS

HELP = "label every pixel of images with the words you give"
EXAMPLE = 'ovseg segment photos/ -c "sky, house; home, red car" -o results'
PLUGINS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SRC",
        help="images, folders, globs, or - for a list of them on stdin",
    )
    parser.add_argument(
        "-c",
        "--classes",
        required=True,
        help='"cat, dog; puppy" (comma between classes, ; between synonyms), a file with a class '
        "a line, or the name of a built-in list such as ade20k",
    )
    parser.add_argument("-o", "--out", default="results", help="output folder (%(default)s)")
    _add_model(parser)
    _add_result(parser)
    _add_reading(parser)
    _add_running(parser)


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    which = group.add_mutually_exclusive_group()
    which.add_argument("-m", "--model", help="a name from 'ovseg models'")
    which.add_argument("--config", metavar="FILE", help="a configuration: .json, .yaml or .py")
    group.add_argument("--checkpoint", metavar="FILE", help="local weights to use instead")
    group.add_argument(
        "--trust-python-config",
        action="store_true",
        help="run a .py configuration that is not part of the package",
    )
    group.add_argument(
        "--device", metavar="D", help="auto, cpu, cuda, cuda:1 or mps (or set OVSEG_DEVICE)"
    )
    group.add_argument(
        "--precision", metavar="P", help="auto, fp32, bf16 or fp16 (or set OVSEG_PRECISION)"
    )


def _add_result(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("result")
    group.add_argument(
        "--refine",
        choices=("none", "pamr", "sam"),
        help="sharpen the borders: pamr by the image's colors, sam by the outlines SAM sees",
    )
    group.add_argument(
        "--background",
        default="none",
        metavar="B",
        help="auto adds a class of generic surroundings; none; or its names: 'wall; floor'",
    )
    group.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="pixels whose best probability (0 to 1) is below T become background",
    )
    group.add_argument(
        "--format",
        default="label,palette,overlay",
        metavar="F",
        help=f"what to write, of {','.join(FORMATS)} (%(default)s)",
    )
    group.add_argument("--palette", help="colors of the classes: a file or '#ff0000,#00ff00,...'")
    group.add_argument(
        "--merge-duplicates", action="store_true", help="merge classes of the same name"
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--all-frames",
        action="store_true",
        help="every frame of an animation or page of a TIFF, instead of the first",
    )
    group.add_argument(
        "--allow-truncated", action="store_true", help="use what is there of a cut-off file"
    )
    group.add_argument(
        "--ignore-exif", action="store_true", help="do not turn images upright by EXIF"
    )
    group.add_argument(
        "--value-range", metavar="LOW:HIGH", help="values that become black and white, e.g. 0:4095"
    )
    group.add_argument(
        "--alpha-background", metavar="COLOR", help="under transparent areas (#ffffff)"
    )
    group.add_argument("--bands", metavar="I,J,K", help="bands of a TIFF to use, from 0")
    group.add_argument(
        "--max-pixels", type=int, metavar="N", help="largest image that is decoded (179 million)"
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    again = group.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="go on with what OUT holds (the default)"
    )
    again.add_argument("--overwrite", action="store_true", help="do everything again")
    group.add_argument(
        "--strict", action="store_true", help="stop at the first failure; refuse doubtful words"
    )


def run(args: argparse.Namespace) -> int:
    """Segment the images; see `ovseg.cli.segment_run.run`."""
    from ovseg.cli import segment_run

    return segment_run.run(args)
