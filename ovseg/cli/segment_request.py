"""From the options of `ovseg segment` to its results."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovseg.cli.segment import FORMATS
from ovseg.errors import ConfigError, InputError

if TYPE_CHECKING:
    from ovseg.pictures import PictureFinder
    from ovseg.runs import RunFolder
    from ovseg.segmenter import Segmenter


class Request:
    """What the options ask for, checked in the order from cheap to dear."""

    def __init__(self, args: argparse.Namespace) -> None:
        from ovseg.segmenter import choose_vocabulary, model_spec
        from ovseg.zoo import DEFAULT_MODEL

        self.args = args
        self.formats = _formats(args.format)
        _check_trust(args)
        self.model = args.config or args.model or DEFAULT_MODEL
        self.test_cfg = _test_cfg(args.threshold)
        self.spec = model_spec(
            self.model, args.checkpoint, refine=args.refine, test_cfg=self.test_cfg
        )
        self.vocabulary = choose_vocabulary(
            args.classes,
            args.background,
            threshold=self.spec["test_cfg"].get("threshold") or 0.0,
            merge_duplicates=args.merge_duplicates,
        )
        self.options = _read_options(args)
        self.palette = _palette(args.palette, len(self.vocabulary.classes))
        self.items = _find(args)
        self.device, self.precision = _place(args)

    def settings(self) -> dict[str, Any]:
        """Return what must not change within one output folder."""
        return {
            "model": self.model,
            "spec": self.spec,
            "vocabulary": self.vocabulary.sha256,
            "formats": self.formats,
            "palette": self.palette,
            "reading": asdict(self.options),
        }

    def carry_out(self, folder: RunFolder) -> int:
        """Load the model and work through the pictures."""
        from ovseg.batch import Batch, Tally
        from ovseg.progress import Progress
        from ovseg.segmenter import load

        args = self.args
        self._announce()
        model = load(
            self.model,
            args.checkpoint,
            self.device,
            self.precision,
            args.refine,
            test_cfg=self.test_cfg,
            strict=args.strict,
        )
        folder.begin(model.protocol(), self._classes(), self._about(model))
        with Progress(None, unit="word") as progress:
            model.prepare(self.vocabulary, strict=args.strict, progress=progress.reach)
        stop_at_first = args.strict or self._is_single_picture()
        batch = Batch(
            model=model,
            vocabulary=self.vocabulary,
            folder=folder,
            formats=self.formats,
            options=self.options,
            palette=self.palette,
            stop_at_first=stop_at_first,
        )
        tally = Tally()
        try:
            with Progress(self.items.total) as progress:
                batch.run(self.items, progress, tally)
            for path, reason in self.items.problems:
                folder.record_error(path, Path(path), InputError(reason, where=path))
        finally:
            print(f"{tally}{self._left_out()}; results in {args.out}")
        return 3 if tally.failed else 0

    def _announce(self) -> None:
        work = f"{len(self.vocabulary.classes)} classes, {self.items.total} pictures"
        where = f"{self.device} ({self.precision})"
        print(f"{self.model} on {where}: {work} -> {self.args.out}", file=sys.stderr)

    def _is_single_picture(self) -> bool:
        sources = self.args.sources
        return len(sources) == 1 == self.items.total and next(iter(self.items)).path == sources[0]

    def _left_out(self) -> str:
        found = [f"{count} {what}" for what, count in sorted(self.items.ignored.items()) if count]
        if self.items.problems:
            found.append(f"{len(self.items.problems)} folders (see errors.jsonl)")
        return f" (left out: {', '.join(found)})" if found else ""

    def _classes(self) -> list[dict[str, Any]]:
        from ovseg.visualize.palette import distinct_colours

        words = self.vocabulary
        colours = self.palette or distinct_colours(len(words.classes))
        queries: list[list[str]] = [[] for _ in words.classes]
        for query, index in zip(words.queries, words.query_class, strict=True):
            queries[index].append(query)
        return [
            {"id": i, "label": label, "queries": queries[i], "color": list(colours[i])}
            for i, label in enumerate(words.classes)
        ]

    def _about(self, model: Segmenter) -> dict[str, Any]:
        from ovseg import __version__
        from ovseg.cli.check import versions

        return {
            "model": self.model,
            "vocabulary": {
                "source": self.vocabulary.source,
                "sha256": self.vocabulary.sha256,
                "background": self.vocabulary.background,
            },
            "device": model.device,
            "precision": model.precision,
            "versions": {"ovseg": __version__, "python": platform.python_version(), **versions()},
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }


def _find(args: argparse.Namespace) -> PictureFinder:
    from ovseg.pictures import find_pictures

    listed = "-" in args.sources
    sources = _with_stdin(args.sources) if listed else args.sources
    items = find_pictures(sources, exclude=args.out)
    try:
        items.require_any()
    except InputError as error:
        raise ConfigError(error.what, expected=error.expected, fix=error.fix) from error
    return items


def _with_stdin(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield word


def _place(args: argparse.Namespace) -> tuple[str, str]:
    """Device and precision: the option wins over the environment."""
    from ovseg.devices import choose_device, choose_precision

    device = choose_device(args.device or os.environ.get("OVSEG_DEVICE") or "auto")
    precision = args.precision or os.environ.get("OVSEG_PRECISION") or "auto"
    return device, choose_precision(precision, device)


def _palette(text: str | None, count: int) -> tuple[tuple[int, int, int], ...] | None:
    from ovseg.visualize.palette import parse_palette

    if text is None:
        return None
    return parse_palette(text.split(",") if text.startswith("#") else text, count)


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ConfigError(
            f"unknown format {unknown[0]!r}" if unknown else "no format",
            where="--format",
            expected=f"some of {', '.join(FORMATS)}, with commas between",
        )
    return names


def _test_cfg(threshold: float | None) -> dict[str, Any]:
    if threshold is None:
        return {}
    if not 0 <= threshold <= 1:
        raise ConfigError(f"{threshold}", where="--threshold", expected="a number from 0 to 1")
    return {"threshold": threshold}


def _check_trust(args: argparse.Namespace) -> None:
    from ovseg.config_files import comes_with_package

    path = args.config or ""
    if path.endswith(".py") and not (args.trust_python_config or comes_with_package(path)):
        raise ConfigError(
            "a .py configuration runs code, and this one is not part of the package",
            where=path,
            fix="if you trust its author, add --trust-python-config",
        )


def _read_options(args: argparse.Namespace) -> Any:
    from ovseg.pictures import ReadOptions

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
