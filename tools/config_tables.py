"""What the benchmarks set besides the zoo: for `tools/write_configs.py`.

Values that a method's authors published are spelled out even where they are our defaults, so that a
change of a default moves no benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["MODELS", "SCENES", "Model"]


@dataclass(frozen=True)
class Model:
    """A model of the zoo as the benchmarks run it.

    Attributes:
        method: folder of its configurations.
        entry: its name in the zoo.
        title: what papers call it.
        about: what a reader of its base configuration has to know.
        on: the data sets that it is measured on, each with what is set for it alone.
        settings: what all data sets have besides the zoo's spec.
        lists: method whose class lists it asks, where that is another one.
        notes: what a reader has to know of a data set's settings.
    """

    method: str
    entry: str
    title: str
    about: str
    on: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    lists: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


TEN = (
    "ade20k",
    "ade847",
    "cityscapes",
    "coco_object",
    "coco_stuff164k",
    "context459",
    "context59",
    "context60",
    "voc20",
    "voc21",
)
EIGHT = tuple(name for name in TEN if name not in ("ade847", "context459"))


def _on(names: tuple[str, ...], **special: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: special.get(name, {}) for name in names}


_DOUBTFUL = "Doubtful patches without an object become background."
_AS_CONTEXT59 = "Scaled as on Context59; the paper has no figure for it."
_CLEANED = {"decode_head": {"clean_background": True}}
_CLIP_DINOISER = Model(
    method="clip_dinoiser",
    entry="clip-dinoiser-vit-b16",
    title="CLIP-DINOiser",
    about="CLIP-DINOiser as published: LAION-2B CLIP ViT-B/16, affinity and foreground from two "
    "convolutions.",
    on=_on(
        EIGHT,
        coco_object=_CLEANED,
        voc21=_CLEANED,
        context60={"decode_head": {"clean_background": False}},
    ),
    settings={
        "decode_head": {
            "mode": "trained",
            "gamma": 0.2,
            "delta": 0.99,
            "clean_background": "auto",
        },
        "test_cfg": {"long_side": 2048},
    },
    notes={
        "coco_object": _DOUBTFUL,
        "voc21": _DOUBTFUL,
        "context60": "The names cover what a background is made of, so that class is only asked "
        "for, as published.",
    },
)
_OVSEG_FILE = (
    "One file holds all weights (CC BY-NC 4.0, non-commercial). It has no address: get it from "
    "github.com/facebookresearch/ov-seg and put it into ~/.cache/ovseg/weights (OVSEG_CACHE moves "
    "it), or give its path in the three places of manual:..."
)
_PAPER_SCALE = {"test_cfg": {"short_side": 520, "long_side": 520}}
_TRIDENT = Model(
    method="trident",
    entry="trident-vit-b16",
    title="Trident",
    about="Trident as published: OpenAI CLIP ViT-B/16, DINO ViT-B/16 inside windows, SAM ViT-B "
    "across the image, and SAM once more for the outlines.",
    on=_on(
        TEN,
        ade20k={
            "decode_head": {"refine_neg_cos": False},
            "refiner": {"coarse_thresh": 0.05},
            "test_cfg": {"short_side": 576},
        },
        cityscapes={
            "decode_head": {"cos_fac": 3.0, "refine_neg_cos": False, "sam_tiles": 2},
            "refiner": {"coarse_thresh": 0.1},
            "test_cfg": {"short_side": 688},
        },
        coco_object={"refiner": {"coarse_thresh": 0.25}, "test_cfg": {"threshold": 0.25}},
        coco_stuff164k={"refiner": {"coarse_thresh": 0.05}},
        context59={"refiner": {"coarse_thresh": 0.15}, "test_cfg": {"short_side": 576}},
        context60={
            "refiner": {"coarse_thresh": 0.15},
            "test_cfg": {"short_side": 576, "threshold": 0.15},
        },
        voc20={
            "decode_head": {"cos_fac": 0.0},
            "test_cfg": {"stride": 112, "short_side": 336},
        },
        voc21={"test_cfg": {"threshold": 0.2}},
    ),
    settings={
        "decode_head": {
            "beta": 1.2,
            "gamma": 3.0,
            "cos_fac": 1.2,
            "refine_neg_cos": True,
            "temperature": 40.0,
        },
        "refiner": {
            "type": "SamRefiner",
            "model": "vit_b",
            "pretrained": "sa1b",
            "coarse_thresh": 0.2,
            "minimal_area": 225,
            "sam_iou_thresh": 0.8,
            "side_multiple": 16,
        },
        "test_cfg": {"long_side": 2048},
    },
    notes={"cityscapes": "SAM sees the halves of an image."},
)
_PATCH_14 = {
    **_TRIDENT.settings,
    "refiner": {**_TRIDENT.settings["refiner"], "side_multiple": 14},
}

MODELS = {
    "maskclip_vit_b16_original": Model(
        method="maskclip",
        entry="maskclip-vit-b16-original",
        title="MaskCLIP",
        about="MaskCLIP as its paper's code runs it: OpenAI's ViT-B/16, exact GELU, whole images.",
        on=_on(
            TEN,
            cityscapes={"test_cfg": {"short_side": 512, "long_side": 1024}},
            context59=_PAPER_SCALE,
            context60={"vocabulary": "context60_mmseg", **_PAPER_SCALE},
            context459=_PAPER_SCALE,
            voc21={"vocabulary": "voc21_mmseg"},
        ),
        notes={
            "cityscapes": "The paper's scale: half size.",
            "context59": "The paper's scale: the long side is 520.",
            "context60": _AS_CONTEXT59,
            "context459": _AS_CONTEXT59,
        },
    ),
    "maskclip_vit_b16_laion2b": Model(
        method="maskclip",
        entry="maskclip-vit-b16-laion2b",
        title="MaskCLIP (LAION-2B)",
        about="MaskCLIP as CLIP-DINOiser runs it: LAION's ViT-B/16, windows of 448, probabilities "
        "averaged.",
        on=_on(TEN),
        lists="clip_dinoiser",
    ),
    "clip_dinoiser_vit_b16": _CLIP_DINOISER,
    "clip_dinoiser_vit_b16_direct": replace(
        _CLIP_DINOISER,
        entry="clip-dinoiser-vit-b16-direct",
        title="CLIP-DINOiser without training, by DINO and FOUND,",
        about="CLIP-DINOiser without training: affinity from DINO ViT-B/16, foreground from FOUND.",
        settings={
            "decode_head": {
                "feats_type": "v",
                "gamma": 0.2,
                "delta": 0.99,
                "clean_background": "auto",
            },
            "test_cfg": {"long_side": 2048},
        },
    ),
    "declip_eva_b16": Model(
        method="declip",
        entry="declip-eva-b16",
        title="DeCLIP (EVA02-CLIP B/16)",
        about="DeCLIP for segmentation without training: EVA02-CLIP B/16, fine-tuned at 560 pixels "
        "by DINOv2-B. The file has no address: get it from github.com/xiaomoguhz/DeCLIP and put it "
        "into ~/.cache/ovseg/weights (OVSEG_CACHE moves it), or give its path in the place of "
        "manual:... These weights divide the logits by the root of a head's width; those of "
        "CAT-Seg do not.",
        on=_on(
            EIGHT,
            cityscapes={"test_cfg": {"short_side": 560}},
            coco_object={"test_cfg": {"threshold": 0.2, "long_side": 2048}},
            context60={"test_cfg": {"threshold": 0.15}},
            voc21={"decode_head": {"temperature": 80.0}, "test_cfg": {"threshold": 0.4}},
        ),
    ),
    "mask_adapted_swin_b_vit_l14": Model(
        method="mask_adapted",
        entry="mask-adapted-clip-swin-b-vit-l14",
        title="OVSeg",
        about="OVSeg as released: MaskFormer on Swin-B proposes masks, CLIP ViT-L/14, adapted to "
        f"masked regions, judges. {_OVSEG_FILE}",
        on=_on(
            ("ade20k", "ade847", "context459", "context59", "voc20"),
            context459={"decode_head": {"weight": 0.6}},
            context59={"decode_head": {"weight": 0.6}},
            voc20={"decode_head": {"weight": 0.45}},
        ),
    ),
    "mask_adapted_r101c_vit_b16": Model(
        method="mask_adapted",
        entry="mask-adapted-clip-r101-vit-b16",
        title="OVSeg (R101c and ViT-B/16)",
        about="OVSeg as released: MaskFormer on R101c proposes masks, CLIP ViT-B/16, adapted to "
        f"masked regions, judges. {_OVSEG_FILE}",
        on=_on(("ade20k",)),
    ),
    "trident_vit_b16": _TRIDENT,
    "trident_vit_l14": replace(
        _TRIDENT,
        entry="trident-vit-l14",
        title="Trident with ViT-L/14",
        about="Trident with OpenAI CLIP ViT-L/14; the rest as with ViT-B/16.",
        settings=_PATCH_14,
    ),
    "trident_vit_h14": replace(
        _TRIDENT,
        entry="trident-vit-h14",
        title="Trident with ViT-H/14",
        about="Trident with LAION-2B CLIP ViT-H/14; the rest as with ViT-B/16.",
        settings=_PATCH_14,
    ),
}
"""Models by the names of their files in `configs/_base_/models`."""

SCENES = {
    "maskclip/maskclip_tiny_scenes": (
        "maskclip-tiny",
        "none",
        "The bundled tiny model on 200 drawn scenes; needs no files. With mmseg's own test tool:\n"
        "    python tools/test.py configs/maskclip/maskclip_tiny_scenes.py none\n"
        '"none" stands for the checkpoint that the tool asks for: this file names all weights '
        "itself.",
    ),
    "scenes/maskclip_tiny_sam": (
        "maskclip-tiny",
        "sam",
        "MaskCLIP with the outlines that the bundled SAM sees, as by `--refine sam`.",
    ),
    "scenes/clip_dinoiser_tiny": (
        "clip-dinoiser-tiny",
        "none",
        "CLIP-DINOiser with the bundled convolutions, trained without labels by the tiny DINO. "
        "Nobody taught them a foreground, so the background is not cleaned.",
    ),
    "scenes/clip_dinoiser_tiny_sam": (
        "clip-dinoiser-tiny",
        "sam",
        "CLIP-DINOiser with the outlines that the bundled SAM sees, as by `--refine sam`.",
    ),
    "scenes/clip_dinoiser_direct_tiny": (
        "clip-dinoiser-tiny-direct",
        "none",
        "CLIP-DINOiser without training: the tiny DINO itself says which patches are alike.",
    ),
    "scenes/declip_tiny": (
        "declip-tiny",
        "none",
        "DeCLIP: the tiny CLIP with its last block tuned without labels, read by self-self "
        "attention. self_self_tiny.py is the same read-out of the weights before.",
    ),
    "scenes/mask_adapted_tiny": (
        "mask-adapted-clip-tiny",
        "none",
        "Mask-adapted CLIP: masks of the tiny proposal network, cut out and judged again by the "
        "tiny CLIP, with the bundled mask prompts in place of what is blank.",
    ),
    "trident/trident_tiny_scenes": (
        "trident-tiny",
        "none",
        "Trident on the bundled tiny towers; needs no files. DINO mixes inside windows. SAM's "
        "correlation across the image is left out: the tiny SAM makes it worse "
        "(configs/scenes/trident_tiny_sam.py).",
    ),
}
"""Models of the zoo on drawn scenes by file: name, refiner, what a reader has to know."""
