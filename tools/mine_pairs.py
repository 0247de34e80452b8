"""Write pairs of regions and words, which train mask-adapted CLIP.

Regions of drawn scenes, their true masks and names; with --config also, for every class, the mask
among those that a model proposes which fits the true one best:
    python tools/mine_pairs.py data/scene_regions --scenes 1000 --side 112 [--config CONFIG]

Nouns of captions (COCO's JSON) with the masks that a model proposes and the CLIP under it judges:
    python tools/mine_pairs.py data/coco_proposal_1cap --images data/coco/train2017 \
        --captions data/coco/annotations/captions_train2017.json --config CONFIG
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ovseg.errors import ConfigError, DatasetError, InputError, OvsegError, RuntimeLimitError
from ovseg.images import read_image
from ovseg.inference.head_input import HeadInput
from ovseg.inference.windows import whole
from ovseg.masks.crops import binarize
from ovseg.pipeline import Pipeline, build_pipeline
from ovseg.prompts.text_bank import TextBank
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.scenes.score import class_map
from ovseg.scenes.world import CLASSES, SPLITS, draw_scene
from ovseg.training.mining import TEMPLATE, fitting_masks, mine_image
from ovseg.training.nouns import caption_nouns
from ovseg.training.region_pairs import StoredCrop, cut_stored, worth_keeping, write_pairs
from ovseg.zoo.config_files import read_model_spec


def scene_regions(options: argparse.Namespace) -> Iterator[StoredCrop]:
    """Regions of the first drawn scenes of the training split."""
    pipeline = _proposing(options) if options.config else None
    vocabulary = Vocabulary.from_names(CLASSES)
    for seed in SPLITS["train"][: options.scenes]:
        scene = draw_scene(seed)
        masks = np.stack([scene.instances == number for number in range(len(scene.regions))])
        names = [region.name for region in scene.regions]
        if pipeline is not None:
            proposed = propose(pipeline, scene.image, vocabulary)
            pairs = fitting_masks(proposed, class_map(scene, CLASSES))
            masks = np.concatenate([masks, proposed[[place for place, _ in pairs]]])
            names += [CLASSES[number] for _, number in pairs]
        kept = np.flatnonzero(worth_keeping(masks))
        yield from cut_stored(scene.image, masks[kept], [names[k] for k in kept], options.side)


def caption_regions(options: argparse.Namespace) -> Iterator[StoredCrop]:
    """Regions of captioned images, each with the noun that CLIP gives it."""
    pipeline = _proposing(options)
    bank = TextBank(pipeline.clip, [TEMPLATE])
    for name, captions in read_captions(options.captions).items():
        nouns = caption_nouns(captions)
        if not nouns:
            continue
        try:
            image = read_image(str(Path(options.images) / name)).pixels
        except (InputError, RuntimeLimitError) as error:
            print(f"mine_pairs: left out: {error}", file=sys.stderr)
            continue
        yield from mine_image(
            pipeline.clip,
            bank,
            image,
            propose(pipeline, image, Vocabulary.from_names(nouns)),
            nouns,
            min_score=options.min_score,
            mutual=options.mutual,
            most=options.max_per_image,
        )


def propose(pipeline: Pipeline, image: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Masks (Q, H, W) bool that a model proposes for an image."""
    image_tensor = pipeline.prepare(image).to(pipeline.device)
    inputs = HeadInput(
        pipeline.clip,
        image_tensor,
        pipeline.text_embeddings(vocabulary),
        whole(tuple(image_tensor.shape[1:])),
        vocabulary=vocabulary,
        image_np=image,
    )
    head = pipeline.head
    prob = _resize(head.source.propose(inputs).prob, image.shape[:2])
    return binarize(prob, head.mask_threshold).cpu().numpy()


def _proposing(options: argparse.Namespace) -> Pipeline:
    pipeline = build_pipeline(read_model_spec(options.config), device=options.device)
    if not hasattr(pipeline.head, "source"):
        raise ConfigError("the model proposes no masks", where=options.config)
    return pipeline


def read_captions(path: str | Path) -> dict[str, list[str]]:
    """Captions by the file names of their images, from a JSON of COCO's layout.

    Raises:
        DatasetError: the file has another layout.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        names = {row["id"]: row["file_name"] for row in data["images"]}
        found: dict[str, list[str]] = {}
        for row in data["annotations"]:
            found.setdefault(names[row["image_id"]], []).append(row["caption"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"no captions: {error!r}", where=path, expected="a JSON of COCO's captions"
        ) from error
    return found


def _resize(prob: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(prob.shape[1:]) == size:
        return prob
    if not len(prob):
        return prob.new_zeros(0, *size)
    maps = torch.nn.functional.interpolate(
        prob[None].float(), size, mode="bilinear", align_corners=False
    )[0]
    return maps > 0.5 if prob.dtype == torch.bool else maps


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", help="folder of the pairs")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--scenes", type=int, metavar="N", help="take N drawn scenes")
    kind.add_argument("--captions", metavar="JSON", help="take captioned images")
    parser.add_argument("--side", type=int, default=224, help="of the regions of drawn scenes")
    parser.add_argument("--images", metavar="DIR", help="folder of the captioned images")
    parser.add_argument(
        "--config", help="model that proposes masks; of captioned images its CLIP judges"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--min-score", type=float, help="least cosine of a pair")
    parser.add_argument("--mutual", action="store_true", help="the noun is the region's best too")
    parser.add_argument("--max-per-image", type=int, metavar="N")
    options = parser.parse_args(arguments)
    if options.captions and not (options.images and options.config):
        parser.error("--captions needs --images and --config")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pairs; return the exit status."""
    options = parse(arguments)
    regions = scene_regions(options) if options.scenes is not None else caption_regions(options)
    try:
        print(write_pairs(options.out, regions))
    except OvsegError as error:
        print(f"mine_pairs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
