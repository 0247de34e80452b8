"""How often CLIP names the true regions of drawn scenes, with and without mask prompts.

    python tools/measure_regions.py                          # the bundled prompts
    python tools/measure_regions.py --prompts run/weights.safetensors

Every visible region of the evaluation split is cut out by its true mask, its outside is blank.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import OvsegError
from ovseg.heads.mask_adapted import MaskAdaptedClip
from ovseg.models.clip import ClipEncoder, build_clip
from ovseg.prompts.text_bank import TextBank
from ovseg.regions.classification import class_means, top_hits
from ovseg.scenes import CLASSES, Scene, draw_scene
from ovseg.scenes.score import EVALUATION_SEEDS

PROPOSER = {"type": "PrecomputedMaskProposer"}


@torch.inference_mode()
def scene_vectors(clip: ClipEncoder, head: MaskAdaptedClip, scene: Scene) -> Tensor:
    """Features (K, E) of a scene's regions."""
    image = torch.from_numpy(scene.image).permute(2, 0, 1).float() / 255
    masks = np.stack([scene.instances == number for number in range(len(scene.regions))])
    return head.region_features(clip, image, torch.from_numpy(masks))


def measure(clip: ClipEncoder, heads: dict[str, MaskAdaptedClip], count: int) -> list[str]:
    """Lines of a table: top-1 and top-5 over all regions, and top-1 as a mean over the classes."""
    text = TextBank(clip, "photo").encode(CLASSES)
    vectors: dict[str, list[Tensor]] = {name: [] for name in heads}
    labels: list[int] = []
    for seed in EVALUATION_SEEDS[:count]:
        scene = draw_scene(seed)
        labels += [region.class_id for region in scene.regions]
        for name, head in heads.items():
            vectors[name].append(scene_vectors(clip, head, scene))
    right = torch.tensor(labels)
    lines = [f"| {len(right)} regions | top-1 | top-5 | mean of classes |", "|---|---|---|---|"]
    for name, parts in vectors.items():
        hits = top_hits(torch.cat(parts), text, right)
        figures = (hits[:, 0].float().mean(), hits.any(1).float().mean())
        figures += (class_means(hits, right)["macc1"],)
        lines.append(f"| {name} | " + " | ".join(f"{100 * each:.1f}" for each in figures) + " |")
    return lines


def main() -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", default="asset:mask_prompts_tiny.safetensors")
    parser.add_argument("--count", type=int, default=len(EVALUATION_SEEDS), help="scenes")
    options = parser.parse_args()
    try:
        clip = build_clip("asset:clip_tiny", "asset:clip_tiny")
        heads = {
            "CLIP as it is": MaskAdaptedClip(PROPOSER, prompts=False),
            "with mask prompts": MaskAdaptedClip(PROPOSER, pretrained=options.prompts),
        }
        print("\n".join(measure(clip, heads, options.count)))
    except OvsegError as error:
        print(f"measure_regions: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
