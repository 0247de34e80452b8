"""From the words of the command line to checked values, for `ovseg segment`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from ovseg.errors import ConfigError
from ovseg.formats import FORMATS

if TYPE_CHECKING:
    from ovseg.images import ReadOptions

__all__ = ["check_trust", "formats", "palette", "place", "read_options", "test_cfg"]


def place(args: argparse.Namespace) -> tuple[str, str]:
    """Return device and precision; an option wins over the environment.

    Raises:
        ConfigError: they are unknown or not usable here.
    """
    from ovseg.utils.devices import choose_device, choose_precision

    device = choose_device(args.device or os.environ.get("OVSEG_DEVICE") or "auto")
    precision = args.precision or os.environ.get("OVSEG_PRECISION") or "auto"
    return device, choose_precision(precision, device)


def palette(text: str | None, count: int) -> tuple[tuple[int, int, int], ...] | None:
    """Return the RGB color of each class, or None for the automatic ones.

    Raises:
        ConfigError: colors that cannot be read, or too few of them.
    """
    from ovseg.visualize.palette import parse_palette

    if text is None:
        return None
    return parse_palette(text.split(",") if text.startswith("#") else text, count)


def formats(text: str) -> tuple[str, ...]:
    """Return the names of what to write.

    Raises:
        ConfigError: an unknown name, or none.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ConfigError(
            f"unknown format {unknown[0]!r}" if unknown else "no format",
            where="--format",
            expected=f"some of {', '.join(FORMATS)}, with commas between",
        )
    return names


def test_cfg(threshold: float | None) -> dict[str, Any]:
    """Return the test settings that differ from those of the model.

    Raises:
        ConfigError: a threshold outside 0 to 1.
    """
    if threshold is None:
        return {}
    if not 0 <= threshold <= 1:
        raise ConfigError(f"{threshold}", where="--threshold", expected="a number from 0 to 1")
    return {"threshold": threshold}


def check_trust(args: argparse.Namespace) -> None:
    """Refuse to run a stranger's Python configuration unasked.

    Raises:
        ConfigError: it is a stranger's.
    """
    from ovseg.zoo.config_files import comes_with_package

    path = args.config or ""
    if path.endswith(".py") and not (args.trust_python_config or comes_with_package(path)):
        raise ConfigError(
            "a .py configuration runs code, and this one is not part of the package",
            where=path,
            fix="if you trust its author, add --trust-python-config",
        )


def read_options(args: argparse.Namespace) -> ReadOptions:
    """Return how images are read.

    Raises:
        ConfigError: a value is out of its range.
    """
    from ovseg.images import ReadOptions

    values: dict[str, Any] = {
        "ignore_exif": args.ignore_exif,
        "allow_truncated": args.allow_truncated,
    }
    if args.value_range is not None:
        values["value_range"] = _numbers(args.value_range, ":", float, "--value-range")
    if args.alpha_background is not None:
        from ovseg.visualize.palette import parse_palette

        (values["alpha_background"],) = parse_palette([args.alpha_background], 1)
    if args.bands is not None:
        values["bands"] = _numbers(args.bands, ",", int, "--bands")
    if args.max_pixels is not None:
        values["max_pixels"] = args.max_pixels
    return ReadOptions(**values)


def _numbers(text: str, separator: str, kind: type, where: str) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.split(separator))
    except ValueError:
        raise ConfigError(
            f"cannot read {text!r}", where=where, expected=f"numbers with {separator!r} between"
        ) from None
