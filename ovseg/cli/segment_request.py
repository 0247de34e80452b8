"""From the options of `ovseg segment` to its results."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovseg.cli import segment_options as values
from ovseg.errors import ConfigError, InputError

if TYPE_CHECKING:
    from ovseg.images import ImageFinder
    from ovseg.runs.folder import RunFolder
    from ovseg.segmenter import Segmenter


class Request:
    """What the options ask for, checked in the order from cheap to dear."""

    def __init__(self, args: argparse.Namespace) -> None:
        from ovseg.segmenter import choose_vocabulary, model_spec
        from ovseg.zoo import DEFAULT_MODEL

        self.args = args
        self.formats = values.formats(args.format)
        values.check_trust(args)
        self.model = args.config or args.model or DEFAULT_MODEL
        self.test_cfg = values.test_cfg(args.threshold)
        self.spec = model_spec(
            self.model, args.checkpoint, refine=args.refine, test_cfg=self.test_cfg
        )
        self.vocabulary = choose_vocabulary(
            args.classes,
            args.background,
            threshold=self.spec["test_cfg"].get("threshold") or 0.0,
            merge_duplicates=args.merge_duplicates,
        )
        self.options = values.read_options(args)
        self.palette = values.palette(args.palette, len(self.vocabulary.classes))
        self.items = _find(args)
        self.device, self.precision = values.place(args)

    def settings(self) -> dict[str, Any]:
        """Return what must not change within one output folder."""
        return {
            "model": self.model,
            "spec": self.spec,
            "vocabulary": self.vocabulary.sha256,
            "formats": self.formats,
            "palette": self.palette,
            "reading": asdict(self.options),
            "all_frames": self.args.all_frames,
        }

    def carry_out(self, folder: RunFolder) -> int:
        """Load the model and work through the images."""
        from ovseg.runs.batch import Batch, RunCounts
        from ovseg.segmenter import load
        from ovseg.utils.progress import Progress

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
            trust_python_config=True,
        )
        folder.begin(model.protocol(), self._classes(), self._about(model))
        with Progress(None, unit="word") as progress:
            model.prepare(self.vocabulary, strict=args.strict, progress=progress.reach)
        stop_at_first = args.strict or self._is_single_image()
        batch = Batch(
            model=model,
            vocabulary=self.vocabulary,
            folder=folder,
            formats=self.formats,
            options=self.options,
            palette=self.palette,
            all_frames=args.all_frames,
            stop_at_first=stop_at_first,
        )
        tally = RunCounts()
        try:
            with Progress(self.items.total) as progress:
                batch.run(self.items, progress, tally)
            for path, reason in self.items.problems:
                folder.record_error(path, Path(path), InputError(reason, where=path))
        finally:
            print(f"{tally}{self._left_out()}; results in {args.out}")
        return 3 if tally.failed else 0

    def _announce(self) -> None:
        work = f"{len(self.vocabulary.classes)} classes, {self.items.total} images"
        where = f"{self.device} ({self.precision})"
        print(f"{self.model} on {where}: {work} -> {self.args.out}", file=sys.stderr)

    def _is_single_image(self) -> bool:
        sources = self.args.sources
        return len(sources) == 1 == self.items.total and next(iter(self.items)).path == sources[0]

    def _left_out(self) -> str:
        found = [f"{count} {what}" for what, count in sorted(self.items.ignored.items()) if count]
        if self.items.problems:
            found.append(f"{len(self.items.problems)} folders (see errors.jsonl)")
        return f" (left out: {', '.join(found)})" if found else ""

    def _classes(self) -> list[dict[str, Any]]:
        from ovseg.visualize.palette import distinct_colors

        words = self.vocabulary
        colors = self.palette or distinct_colors(len(words.classes))
        prompts: list[list[str]] = [[] for _ in words.classes]
        for prompt, index in zip(words.prompts, words.prompt_class, strict=True):
            prompts[index].append(prompt)
        return [
            {"id": i, "label": label, "prompts": prompts[i], "color": list(colors[i])}
            for i, label in enumerate(words.classes)
        ]

    def _about(self, model: Segmenter) -> dict[str, Any]:
        from ovseg import __version__
        from ovseg.utils.versions import versions

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


def _find(args: argparse.Namespace) -> ImageFinder:
    from ovseg.images import find_images

    listed = "-" in args.sources
    sources = _with_stdin(args.sources) if listed else args.sources
    items = find_images(sources, exclude=args.out)
    try:
        items.require_any()
    except InputError as error:
        raise ConfigError(
            error.what, where=error.where, expected=error.expected, fix=error.fix
        ) from error
    return items


def _with_stdin(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if word == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield word
