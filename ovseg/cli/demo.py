"""`ovseg demo`: drawn scenes through every bundled model, on one contact sheet, offline."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovseg.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from ovseg.scenes.world import Scene
    from ovseg.segmentation import Segmentation

HELP = "segment drawn scenes with the bundled models, without any download"
EXAMPLE = "ovseg demo -o demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("-o", "--out", default="demo", help="output folder (%(default)s)")
    parser.add_argument(
        "--count", type=int, default=6, metavar="N", help="number of scenes, 1 to 100 (%(default)s)"
    )
    parser.add_argument(
        "--models", nargs="+", metavar="M", help="names to compare (all that are bundled)"
    )
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1 or mps (%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Draw, segment, write images and the sheet, say where they are.

    Returns:
        0.

    Raises:
        ConfigError: the number of scenes is out of range, no such model, or no such device.
        InputError: the folder cannot be written.
    """
    if not 1 <= args.count <= 100:
        raise ConfigError(f"{args.count} scenes", where="--count", expected="1 to 100")
    from ovseg.scenes import SPLITS, draw_scene
    from ovseg.utils.devices import choose_device
    from ovseg.utils.files import write_atomic

    models = _models(args.models)
    device = choose_device(args.device)
    out = Path(args.out)
    scenes = [draw_scene(seed) for seed in SPLITS["test"][: args.count]]
    for scene in scenes:
        write_atomic(out / "images" / f"{_scene_name(scene)}.png", _png(scene.image))
    columns = {"ground truth": [_truth(scene) for scene in scenes]}
    for model in models:
        print(f"{model} on {device} ...", file=sys.stderr)
        results = _segment(model, scenes, device, out / model)
        columns[f"{model} ({_share_right(results, scenes):.0%} of pixels right)"] = results
    sheet = write_atomic(out / "sheet.png", _png(_sheet(scenes, columns)))
    print(f"{len(scenes)} scenes, {len(columns) - 1} model(s); contact sheet: {sheet}")
    return 0


def _models(wanted: Sequence[str] | None) -> list[str]:
    """Check the names, or take every model that needs no download."""
    from ovseg.zoo import list_models, model_entry

    if wanted:
        return [model_entry(name).name for name in wanted]
    return [name for name in list_models() if all(w.asset for w in model_entry(name).weights)]


def _segment(model: str, scenes: Sequence[Scene], device: str, folder: Path) -> list[Segmentation]:
    from ovseg.scenes.world import PALETTE
    from ovseg.segmenter import load

    loaded = load(model, device=device)
    results = [loaded.segment(scene.image, "scenes", palette=PALETTE) for scene in scenes]
    for scene, result in zip(scenes, results, strict=True):
        result.save(folder, _scene_name(scene))
    return results


def _truth(scene: Scene) -> Segmentation:
    from ovseg.scenes.world import CLASSES, PALETTE
    from ovseg.segmentation import Segmentation

    return Segmentation(scene.labels, CLASSES, image=scene.image, palette=PALETTE)


def _share_right(results: Sequence[Segmentation], scenes: Sequence[Scene]) -> float:
    pairs = list(zip(results, scenes, strict=True))
    right = sum(int((result.labels == scene.labels).sum()) for result, scene in pairs)
    return right / sum(int((scene.labels != 255).sum()) for scene in scenes)


def _sheet(scenes: Sequence[Scene], columns: dict[str, list[Segmentation]]) -> np.ndarray:
    from ovseg.visualize.sheet import contact_sheet

    rows = [
        [scene.image, *(results[i].overlay() for results in columns.values())]
        for i, scene in enumerate(scenes)
    ]
    return contact_sheet(["image", *columns], rows, entries=_legend(columns))


def _legend(columns: dict[str, list[Segmentation]]) -> list[Any]:
    """Give the classes of the ground truth, the most frequent first."""
    from ovseg.visualize.legend import LegendEntry

    truth = columns["ground truth"]
    colors = dict(zip(truth[0].classes, truth[0].colors, strict=True))
    shares: dict[str, float] = {}
    for result in truth:
        for name, share in result.shares().items():
            shares[name] = shares.get(name, 0.0) + share / len(truth)
    ordered = sorted(shares.items(), key=lambda pair: -pair[1])
    return [LegendEntry(name, colors[name], share) for name, share in ordered]


def _scene_name(scene: Scene) -> str:
    return f"scene-{scene.seed}"


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
