"""Measure the bundled tiny models on the evaluation split and write docs/tiny_model.md.

    python -m tools.tiny.report --log work_dirs/tiny

The training logs are thinned and kept under ``docs/tiny_model/``; without ``--log`` the curves are
drawn from what is kept there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from ovseg.evaluation.confusion import IoUCounts
from ovseg.models.dino import build_dino
from ovseg.models.sam import build_sam
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.scenes import CLASSES, SPLITS, VERSION
from ovseg.scenes.captions import glossary
from ovseg.scenes.score import EVALUATION_SEEDS, chance, held_out_pairs, score, synonym_list
from ovseg.scenes.stuff import STUFF
from ovseg.segmenter import Segmenter, load
from ovseg.weights.read import sha256
from tools.tiny.affinity import pair_accuracy
from tools.tiny.sam import prompt_iou
from tools.tiny.scene_store import SceneStore

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "ovseg" / "assets"
DOCS = ROOT / "docs"
KEPT = DOCS / "tiny_model"
CURVES = {
    "clip": ("miou", "stuff", "things"),
    "dino": ("accuracy", "accuracy_values"),
    "sam": ("mask_iou", "refine_iou", "iou_error"),
}
ATTENTION_MODES = {
    "raw patch tokens of CLIP": "vanilla",
    "MaskCLIP (value path)": "value",
    "value without residual and MLP": "value_only",
    "prompt-prompt attention": "qq",
    "prompt-prompt plus key-key attention": "csa",
}


def keep_logs(folder: Path) -> None:
    """Thin the training logs to every 20th step and to the validations."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for part in CURVES:
        path = folder / part / "log.jsonl"
        if path.exists():
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            thin = [row for row in rows if row["step"] % 20 == 0 or len(row) > 4]
            text = "".join(json.dumps(row) + "\n" for row in thin)
            (KEPT / f"{part}_log.jsonl").write_text(text, encoding="utf-8")


def draw_curves() -> list[str]:
    """Draw loss and validation curves of every kept log; returns Markdown image lines."""
    mpl.use("Agg")
    from matplotlib import pyplot

    lines = []
    for part, figures in CURVES.items():
        path = KEPT / f"{part}_log.jsonl"
        if not path.exists():
            continue
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        image, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3))
        for name in [key for key in rows[0] if key not in {"step", *figures}]:
            left.plot([r["step"] for r in rows], [r[name] for r in rows], label=name, lw=0.8)
        for name in figures:
            points = [(r["step"], r[name]) for r in rows if name in r]
            if points:
                right.plot(*zip(*points, strict=True), marker=".", label=name)
        left.set(xlabel="step", ylabel="loss", title=f"tiny {part}: training loss")
        right.set(xlabel="step", ylabel="percent", title="validation scenes", ylim=(0, 100))
        left.legend()
        if right.has_data():
            right.legend()
        image.tight_layout()
        image.savefig(DOCS / "images" / f"tiny_{part}_curves.png", dpi=80)
        pyplot.close(image)
        lines.append(f"![Training of the tiny {part}](images/tiny_{part}_curves.png)\n")
    return lines


def measure(
    model: Segmenter, vocabulary: Vocabulary, seeds: Iterable[int], *, colors: bool = False
) -> IoUCounts:
    """Score a loaded model with a vocabulary."""
    return score(
        lambda image: model.segment(image, vocabulary).labels,
        vocabulary.classes,
        seeds,
        colors=colors,
    )


def with_attention_mode(name: str) -> Segmenter:
    """Load maskclip-tiny with another read-out of the last block."""
    model = load("maskclip-tiny", device="cpu")
    model.pipeline.head.attention_mode = name
    return model


def groups(counts: IoUCounts) -> str:
    """Cells ``all | stuff | things`` of mean IoU."""
    stuff = [i for i, name in enumerate(CLASSES) if name in STUFF]
    things = [i for i, name in enumerate(CLASSES) if name not in STUFF]
    values = (counts.mean_iou(), counts.mean_iou(stuff), counts.mean_iou(things))
    return " | ".join(f"{value:.1f}" for value in values)


def method_table(seeds: Sequence[int]) -> tuple[list[str], IoUCounts]:
    """Rows of the main table, and the counts of MaskCLIP itself."""
    vocabulary = Vocabulary.builtin("scenes")
    rows = [f"| chance (a class by lot for each patch) | {groups(chance(CLASSES, seeds))} |"]
    for title, attention_mode in ATTENTION_MODES.items():
        counts = measure(with_attention_mode(attention_mode), vocabulary, seeds)
        rows.append(f"| {title} | {groups(counts)} |")
        if attention_mode == "value":
            plain = counts
    return rows, plain


def color_lines(model: Segmenter, seeds: Sequence[int]) -> list[str]:
    """Mean IoU over color-noun pairs that training showed, and over those held out."""
    vocabulary = Vocabulary.builtin("scenes_colours")
    counts = measure(model, vocabulary, seeds, colors=True)
    pairs = [i for i, name in enumerate(vocabulary.classes) if name not in CLASSES]
    unseen = [i for i in pairs if vocabulary.classes[i] in held_out_pairs()]
    seen = [i for i in pairs if i not in unseen]
    figures = counts.mean_iou(seen), counts.mean_iou(unseen)
    return [
        "| pairs of color and noun | number | mIoU |",
        "|---|---|---|",
        f"| seen in training | {len(seen)} | {figures[0]:.1f} |",
        f"| never seen in training | {len(unseen)} | {figures[1]:.1f} |",
        "",
        f"Unseen pairs reach {100 * figures[1] / figures[0]:.0f} % of the seen ones' mIoU; all "
        f"{len(vocabulary.classes)} classes of `scenes_colours` compete.",
    ]


def synonym_lines(model: Segmenter, plain: IoUCounts, seeds: Sequence[int]) -> list[str]:
    """Mean IoU of the classes that have a held-out synonym, asked by noun and by synonym."""
    counts = measure(model, Vocabulary.from_names(synonym_list(glossary(), CLASSES)), seeds)
    changed = sorted({CLASSES.index(name) for _, name in glossary()})
    return [
        "| asked by | mIoU of these classes |",
        "|---|---|",
        f"| the noun of the captions | {plain.mean_iou(changed):.1f} |",
        f"| a synonym never seen with an image | {counts.mean_iou(changed):.1f} |",
        "",
        f"{len(changed)} classes have such a synonym. Training met these words only in the "
        "glossary, text against text.",
    ]


def companion_lines(seeds: range) -> list[str]:
    """What the bundled companions reach on the evaluation split."""
    rows = ["| companion | figure | percent |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        if (ASSETS / "dino_tiny.safetensors").exists():
            dino = build_dino("asset:dino_tiny", "asset:dino_tiny")
            side, store = dino.model.patch_embed.img_size[0], SceneStore(Path(folder), seeds, 224)
            found = pair_accuracy(dino.model, store, len(store), side, dino.patch_size)
            for title, key in (("final features", ""), ("last block's values", "_values")):
                rows.append(
                    f"| `dino_tiny`, {title} | balanced accuracy of patch pairs, one view a scene "
                    f"| {found['accuracy' + key]:.1f} |"
                )
        if (ASSETS / "sam_tiny.safetensors").exists():
            sam = build_sam("asset:sam_tiny", "asset:sam_tiny")
            store = SceneStore(Path(folder), seeds, sam.side)
            found = prompt_iou(sam.model, store, min(len(store), 64))
            for title, key in (
                ("mean IoU of one mask, mixed prompts", "mask_iou"),
                ("the same, prompted as a refiner does", "refine_iou"),
                ("mean distance of the predicted IoU from the true one", "iou_error"),
            ):
                rows.append(f"| `sam_tiny` | {title} | {found[key]:.1f} |")
    return rows


def file_lines() -> list[str]:
    """One row for each bundled file of weights."""
    rows = ["| file | MB | SHA-256 (first 12) |", "|---|---|---|"]
    for path in sorted(ASSETS.glob("*_tiny.safetensors")):
        rows.append(f"| `{path.name}` | {path.stat().st_size / 1e6:.2f} | `{sha256(path)[:12]}` |")
    return rows


def class_lines(counts: IoUCounts) -> list[str]:
    """Per-class IoU, best first."""
    order = np.argsort(-np.nan_to_num(counts.iou()))
    cells = [f"{CLASSES[i]} {100 * counts.iou()[i]:.0f}" for i in order]
    return ["IoU by class: " + ", ".join(cells) + "."]


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=Path, help="folder that tools/tiny/train.py wrote to")
    parser.add_argument("--scenes", type=int, default=len(EVALUATION_SEEDS), help="fewer to try")
    args = parser.parse_args()
    if args.log:
        keep_logs(args.log)
    seeds = EVALUATION_SEEDS[: args.scenes]
    model = load("maskclip-tiny", device="cpu")
    rows, plain = method_table(seeds)
    recipe = (ROOT / "tools" / "tiny" / "tiny_model.md.in").read_text(encoding="utf-8")
    text = recipe.format(
        version=VERSION,
        count=len(seeds),
        first=seeds[0],
        last=seeds[-1],
        splits="; ".join(f"{name} {s[0]} to {s[-1]}" for name, s in SPLITS.items()),
        files="\n".join(file_lines()),
        methods="\n".join(rows),
        classes="\n".join(class_lines(plain)),
        colors="\n".join(color_lines(model, seeds)),
        synonyms="\n".join(synonym_lines(model, plain, seeds)),
        curves="\n".join(draw_curves()),
        companions="\n".join(companion_lines(seeds)),
        protocol=json.dumps(model.protocol(), indent=2, default=str),
    )
    (DOCS / "tiny_model.md").write_text(text, encoding="utf-8")
    print(f"wrote {DOCS / 'tiny_model.md'}: maskclip-tiny {plain.mean_iou():.1f} mIoU")


if __name__ == "__main__":
    main()
