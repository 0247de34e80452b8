"""What `ovseg segment` does: check the request, resolve the model, work through the images."""

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

from ovseg import __version__
from ovseg.errors import ConfigError, InputError
from ovseg.utils.files import FORMATS

if TYPE_CHECKING:
    from ovseg.images import ImageFinder, ReadOptions
    from ovseg.prompts.vocabulary import Vocabulary
    from ovseg.segmenter import ResolvedModel, Segmenter

Palette = tuple[tuple[int, int, int], ...]


def run(args: argparse.Namespace) -> int:
    """Segment the images.

    Everything that can be wrong with the request shows before the model is loaded.

    Returns:
        0 when all images are done, 3 when some failed.

    Raises:
        OvsegError: nothing could be done, or results cannot be written.
    """
    if args.plugin:
        from ovseg.plugins import import_plugins

        import_plugins(args.plugin)
    formats = _formats(args.format)
    resolved = _resolve(args)
    from ovseg.segmenter import choose_vocabulary, load_resolved
    from ovseg.visualize.palette import distinct_colors

    vocabulary = choose_vocabulary(
        args.classes,
        args.background,
        threshold=resolved.threshold,
        merge_duplicates=args.merge_duplicates,
    )
    palette = _palette(args.palette, len(vocabulary.classes))
    colors = palette or distinct_colors(len(vocabulary.classes))
    # Only now: it loads the image libraries, which a wrong request should not wait for.
    from ovseg.runs.batch import Batch, RunCounts
    from ovseg.runs.folder import RunFolder
    from ovseg.utils.progress import Progress

    options = _read_options(args)
    items, total = _find(args)
    digest = vocabulary.sha256
    settings = {
        "model": resolved.name,
        "spec": resolved.spec,
        "vocabulary": digest,
        "formats": formats,
        "palette": palette,
        "reading": asdict(options),
        "all_frames": args.all_frames,
    }
    with RunFolder(args.out, settings, overwrite=args.overwrite) as folder:
        _announce(args, resolved, vocabulary, total)
        model = load_resolved(resolved)
        folder.begin(
            model.protocol(), _classes(vocabulary, colors), _about(model, vocabulary, digest)
        )
        with Progress(None, unit="word") as progress:
            model.prepare(vocabulary, strict=args.strict, progress=progress.reach)
        batch = Batch(
            model=model,
            vocabulary=vocabulary,
            folder=folder,
            formats=formats,
            options=options,
            palette=colors,
            all_frames=args.all_frames,
            stop_at_first=args.strict or _is_single_image(args, items, total),
        )
        tally = RunCounts()
        try:
            with Progress(total) as progress:
                batch.run(items, progress, tally)
            for path, reason in items.problems:
                folder.record_error(path, Path(path), InputError(reason, where=path))
        finally:
            print(f"{tally}{_left_out(items)}; results in {args.out}")
    return 3 if tally.failed else 0


def _resolve(args: argparse.Namespace) -> ResolvedModel:
    """Settle model, weights, device and precision; an option wins over the environment."""
    from ovseg.segmenter import resolve
    from ovseg.zoo import DEFAULT_MODEL

    if args.config and not args.trust_python_config:
        _check_trust(args.config)
    return resolve(
        args.config or args.model or DEFAULT_MODEL,
        args.checkpoint,
        args.device or os.environ.get("OVSEG_DEVICE") or "auto",
        args.precision or os.environ.get("OVSEG_PRECISION") or "auto",
        args.refine,
        test_cfg=_test_cfg(args.threshold),
        strict=args.strict,
        trust_python_config=True,
    )


def _check_trust(config: str) -> None:
    """Refuse to run a stranger's Python configuration unasked."""
    from ovseg.zoo.config_files import comes_with_package

    if config.endswith(".py") and not comes_with_package(config):
        raise ConfigError(
            "a .py configuration runs code, and this one is not part of the package",
            where=config,
            fix="if you trust its author, add --trust-python-config",
        )


def _test_cfg(threshold: float | None) -> dict[str, Any]:
    """Test settings that differ from those of the model."""
    if threshold is None:
        return {}
    if not 0 <= threshold <= 1:
        raise ConfigError(f"{threshold}", where="--threshold", expected="a number from 0 to 1")
    return {"threshold": threshold}


def _formats(text: str) -> tuple[str, ...]:
    """Names of what to write."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ConfigError(
            f"unknown format {unknown[0]!r}" if unknown else "no format",
            where="--format",
            expected=f"some of {', '.join(FORMATS)}, with commas between",
        )
    return names


def _palette(text: str | None, count: int) -> Palette | None:
    """RGB color of each class, or None for the automatic ones."""
    if text is None:
        return None
    from ovseg.visualize.palette import parse_palette

    return parse_palette(text.split(",") if text.startswith("#") else text, count)


def _read_options(args: argparse.Namespace) -> ReadOptions:
    """How images are read."""
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


def _find(args: argparse.Namespace) -> tuple[ImageFinder, int]:
    """The images to work on, and how many there are: at least one."""
    from ovseg.images import find_images

    listed = "-" in args.sources
    items = find_images(_with_stdin(args.sources) if listed else args.sources, exclude=args.out)
    try:
        return items, items.require_any()
    except InputError as error:
        raise ConfigError(
            error.what, where=error.where, expected=error.expected, fix=error.fix
        ) from error


def _with_stdin(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield word


def _is_single_image(args: argparse.Namespace, items: ImageFinder, total: int) -> bool:
    """Whether one file was named, no folder, glob or list."""
    return len(args.sources) == 1 and args.sources != ["-"] and total == items.named == 1


def _announce(
    args: argparse.Namespace, resolved: ResolvedModel, vocabulary: Vocabulary, total: int
) -> None:
    work = f"{len(vocabulary.classes)} classes, {total} images"
    where = f"{resolved.device} ({resolved.precision})"
    print(f"{resolved.name} on {where}: {work} -> {args.out}", file=sys.stderr)


def _left_out(items: ImageFinder) -> str:
    found = [f"{count} {what}" for what, count in sorted(items.ignored.items()) if count]
    if items.problems:
        found.append(f"{len(items.problems)} folders (see errors.jsonl)")
    return f" (left out: {', '.join(found)})" if found else ""


def _classes(vocabulary: Vocabulary, colors: Palette) -> list[dict[str, Any]]:
    """What `classes.json` says of each class."""
    prompts: list[list[str]] = [[] for _ in vocabulary.classes]
    for prompt, index in zip(vocabulary.prompts, vocabulary.prompt_class, strict=True):
        prompts[index].append(prompt)
    return [
        {"id": i, "label": label, "prompts": prompts[i], "color": list(colors[i])}
        for i, label in enumerate(vocabulary.classes)
    ]


def _about(model: Segmenter, vocabulary: Vocabulary, digest: str) -> dict[str, Any]:
    """What `run.json` notes beside the settings."""
    from ovseg.utils.devices import versions

    return {
        "model": model.name,
        "vocabulary": {
            "source": vocabulary.source,
            "sha256": digest,
            "background": vocabulary.background,
        },
        "device": model.device,
        "precision": model.precision,
        "versions": {"ovseg": __version__, "python": platform.python_version(), **versions()},
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
