"""The sections of the benchmark: which cases are measured, and what the rows mean."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import measure_apart

__all__ = ["SECTIONS", "Plan", "Row"]

Row = dict[str, Any]
"""Keys `section`, `case`, `seconds` and `peak_mb` (or `failed`), and what the case is about."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        model: name of the model for the sections that need one.
        repeats: how often each case is done; the shortest time counts.
        quick: tiny sizes, to see that everything works.
    """

    model: str = "maskclip-tiny"
    repeats: int = 3
    quick: bool = False

    def row(
        self, section: str, case: str, options: dict[str, Any], work: str = "", **about: Any
    ) -> Row:
        """Measure a case of `benchmarks.cases`, by default the section's own; make a row."""
        work = work or section
        if self.quick:
            from benchmarks.cases import CASES
            from benchmarks.measure import measure

            found = measure(CASES[work], options)
        else:
            found = measure_apart(work, options, self.repeats)
        return {"section": section, "case": case, **about, **found}


def text(plan: Plan) -> Iterator[Row]:
    """ADE20K's names in 80 templates: prompts cut at the longest, at full length, and cached.

    Every tenth name, through the text encoder of ViT-B/16: the whole list takes ten times as long.
    """
    from ovseg.prompts.templates import load_templates
    from ovseg.prompts.vocabulary import Vocabulary

    names = list(Vocabulary.builtin("ade20k").prompts[:: 75 if plan.quick else 10])
    templates = "imagenet7" if plan.quick else "imagenet80"
    prompts = len(names) * len(load_templates(templates))
    seconds: dict[str, float] = {}
    for way in ("full", "cut", "cached"):
        model = "asset:clip_tiny.json" if plan.quick else "ViT-B-16"
        options = {"model": model, "names": names, "templates": templates, "way": way}
        row = plan.row("text", way, options, prompts=prompts)
        if "seconds" in row:
            seconds[way] = row["seconds"]
        if way == "cut" and "full" in seconds:
            row["times_faster"] = round(seconds["full"] / seconds["cut"], 1)
        if way == "cached" and "cut" in seconds:
            row["share_of_cut"] = round(seconds["cached"] / seconds["cut"], 4)
        yield row


def decode(plan: Plan) -> Iterator[Row]:
    """Our decode, with and without scores, and the plain upsample and argmax."""
    size = [60, 90] if plan.quick else [1024, 2048]
    for classes in (2, 19) if plan.quick else (2, 8, 19, 150, 847):
        for way in ("ours", "labels", "plain"):
            options = {"classes": classes, "size": size, "way": way}
            yield plan.row("decode", f"{way}, {classes} classes", options, classes=classes)


def classes(plan: Plan) -> Iterator[Row]:
    """Very many classes on a large image."""
    count, size = (300, [60, 80]) if plan.quick else (10_000, [3000, 4000])
    if not plan.quick:
        plan = Plan(plan.model, repeats=1)
    options = {"classes": count, "size": size}
    yield plan.row("classes", f"{count} classes, {size[1]} x {size[0]}", options, classes=count)


def windows(plan: Plan) -> Iterator[Row]:
    """Windows of one image one by one and in batches."""
    size, crop = ([64, 96], 64) if plan.quick else ([448, 896], 224)
    for batch in (1, 2) if plan.quick else (1, 2, 4, 8, 16):
        options = {"model": plan.model, "size": size, "crop": crop, "batch": batch}
        yield plan.row("windows", f"{batch} at a time", options, batch=batch)


def heads(plan: Plan) -> Iterator[Row]:
    """What a head costs on the same windows; `times` is the share of MaskCLIP's time."""
    first = None
    for head in ("maskclip", "dinoiser", "direct"):
        options = {"head": head, "quick": plan.quick, "windows": 2}
        row = plan.row("heads", head, options)
        first = first or row.get("seconds")
        if first and "seconds" in row:
            row["times"] = round(row["seconds"] / first, 3)
        yield row


def dense(plan: Plan) -> Iterator[Row]:
    """DeCLIP's csa read-out and forward at 560 pixels; `times` is the share of the naive way's."""
    for part in ("read", "forward"):
        naive = None
        for way in ("naive", "sdpa"):
            options = {"part": part, "way": way, "quick": plan.quick}
            row = plan.row("dense", f"{part}, {way}", options)
            naive = naive or row.get("seconds")
            if naive and "seconds" in row:
                row["times"] = round(row["seconds"] / naive, 3)
            yield row


def training(plan: Plan) -> Iterator[Row]:
    """A step of DeCLIP's training at 560 pixels; `times` and `memory` are shares of the naive."""
    naive: Row = {}
    for way in ("naive", "sdpa"):
        row = plan.row("training", f"step, {way}", {"way": way, "quick": plan.quick})
        naive = naive or row
        if "seconds" in naive and "seconds" in row:
            row["times"] = round(row["seconds"] / naive["seconds"], 3)
            # A quick run's step may fit into memory that the process has already.
            if naive["peak_mb"]:
                row["memory"] = round(row["peak_mb"] / naive["peak_mb"], 3)
        yield row


def trident(plan: Plan) -> Iterator[Row]:
    """Trident on ViT-B/16, DINO ViT-B/16 and SAM ViT-B, 150 classes, beside these three alone.

    `times the sum` is the time against that of the three encoders' own forwards together.
    """
    size = [48, 64] if plan.quick else [512, 683]
    total = 0.0
    for part in ("clip", "dino", "sam", "trident"):
        row = plan.row("trident", part, {"part": part, "size": size, "quick": plan.quick})
        if part == "trident" and total and "seconds" in row:
            row["times the sum"] = round(row["seconds"] / total, 3)
        total += row.get("seconds", 0.0)
        yield row


def regions(plan: Plan) -> Iterator[Row]:
    """100 masked regions through ViT-B/16; `times` is the share of a plain batch of 100 crops.

    The peaks show that memory follows the regions at a time, not their number.
    """
    count, plain = 6 if plan.quick else 100, None
    for way, batch in (("plain", count), ("ours", 32), ("ours", 8), ("repeated", 32)):
        options = {"way": way, "quick": plan.quick, "count": count, "batch": batch}
        row = plan.row("regions", f"{way}, {batch} at a time", options)
        plain = plain or row.get("seconds")
        if plain and "seconds" in row:
            row["times"] = round(row["seconds"] / plain, 3)
        yield row


def stages(plan: Plan) -> Iterator[Row]:
    """The stages of the pipeline on one image; "refine" is all of it with PAMR."""
    size = [48, 64] if plan.quick else [480, 640]
    words = ["sky", "house; home", "tree", "grass", "road", "car"]
    for name in ("load", "words", "prepare", "score", "decode", "all", "refine"):
        options = {"model": plan.model, "size": size, "words": words, "name": name}
        yield plan.row("stages", name, options)


def evaluation(plan: Plan) -> Iterator[Row]:
    """Parts of an ADE20K evaluation beside MaskCLIP ViT-B/16; the metric at few and many classes.

    `of score` is the time against that of the model. The last rows' peaks show that memory does not
    grow with the images.
    """
    size = [48, 64] if plan.quick else [512, 683]
    model, crop = ("asset:clip_tiny.json", 64) if plan.quick else ("ViT-B-16", 448)
    score = None
    for part in ("score", "load", "decode", "count"):
        options = {"part": part, "model": model, "classes": 150, "size": size, "crop": crop}
        row = plan.row("evaluation", f"{part}, 150 classes", options)
        score = row.get("seconds") if part == "score" else score
        share = {"of score": round(row["seconds"] / score, 4)} if score and "seconds" in row else {}
        yield {**row, **share}
    for classes in (19, 847):
        options = {"classes": classes, "size": size, "images": 5}
        case = f"count 5 images, {classes} classes"
        yield plan.row("evaluation", case, options, work="count", classes=classes)
    for images in (2, 20) if plan.quick else (20, 200):
        options = {"classes": 150, "size": [32, 32], "images": images}
        case = f"count {images} small images"
        yield plan.row("evaluation", case, options, work="count", images=images)


def cli(plan: Plan) -> Iterator[Row]:
    """`ovseg segment` from start to end, and the share of it that goes to imports."""
    import numpy as np
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.png"
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(image)
        command = [sys.executable, "-X", "importtime", "-m", "ovseg", "segment", str(image)]
        command += ["-c", "sky, house", "-m", plan.model, "-o", str(Path(folder) / "out")]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        seconds = time.perf_counter() - start
    about: Row = {"section": "cli", "case": "ovseg segment, one image"}
    if done.returncode:
        yield {**about, "failed": done.stderr.strip().splitlines()[-1]}
        return
    imports = sum(int(us) for us in re.findall(r"^import time: +(\d+) \|", done.stderr, re.M)) / 1e6
    yield {**about, "seconds": seconds}
    yield {
        "section": "cli",
        "case": "of that imports",
        "seconds": imports,
        "share": round(imports / seconds, 3),
    }


SECTIONS: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "text": text,
    "decode": decode,
    "classes": classes,
    "windows": windows,
    "heads": heads,
    "dense": dense,
    "training": training,
    "trident": trident,
    "regions": regions,
    "stages": stages,
    "evaluation": evaluation,
    "cli": cli,
}
