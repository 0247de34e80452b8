"""Mask-adapted CLIP (OVSeg; Liang et al., CVPR 2023): propose masks, look at each, paint.

A source proposes masks. Every mask is cut out of the image, its outside is blanked, and CLIP,
adapted to such images, compares the cut-out with the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError, InputError
from ovseg.heads.base import Head, check_temperature
from ovseg.heads.mask_fusion import best_masks, check_weight, fuse, proposal_probs
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import BackgroundOverriddenScores, MaskScores, ScoreGrid
from ovseg.masks.crops import (
    binarize,
    cut_regions,
    distinct_regions,
    expand_boxes,
    keep_flags,
    mask_boxes,
    require_image_size,
)
from ovseg.masks.mask_prompts import check_prompts, class_features, read_prompts, region_side
from ovseg.masks.proposer import MaskProposals
from ovseg.registry import PROPOSERS, register_head
from ovseg.utils.plain_data import build
from ovseg.utils.shapes import size_of
from ovseg.weights.read import read_shapes
from ovseg.weights.rename_ovseg import lacks_prompts, place, warn_prompts_off

if TYPE_CHECKING:
    from ovseg.models.clip import ClipEncoder
    from ovseg.prompts.vocabulary import Vocabulary

__all__ = ["FILLS", "RULES", "UNCOVERED", "MaskAdaptedClip"]

FILLS = ("mean", "zero")
RULES = ("sum", "best")
UNCOVERED = ("background", "rest")

_OTHERS = "others"


@register_head("MaskAdaptedClipHead")
class MaskAdaptedClip(Head):
    """Scores of masks, by their source and by CLIP on their regions, painted over the image.

    The image is seen whole. Of the scores nothing is a probability in the strict sense: where
    masks overlap they add up, and decode clips them at 1.

    Args:
        proposer: source of masks, a type of `ovseg.registry.PROPOSERS` and its arguments.
        pretrained: file that holds the mask prompts: a released whole model, a CLIP with them, or
            prompts alone; "asset:NAME" or a path.
        prompts: whether learnt tokens stand in place of blank patches; False is for CLIP that is
            fine-tuned only, or not at all.
        mask_threshold: pixels of a mask strictly above it make its region; in [0, 1).
        weight: share of CLIP when its scores and those of the source are blended, from 0 to 1;
            0 means CLIP alone. See `ovseg.heads.mask_fusion.fuse`.
        ensemble: False leaves CLIP out: the source of masks alone decides.
        rule: "sum" paints every mask with all its scores (benchmarks); "best" paints, without soft
            borders, those masks that some word likes best (the published demo).
        uncovered: what becomes of pixels in no painted mask: "background" gives them to the class
            of that name where the vocabulary has one, else to the first class; "rest" looks at
            them as one more mask.
        expand: factor of width and height of a region's box.
        fill: color of what is outside: CLIP's "mean", or "zero".
        matting: blend soft masks with the fill instead of cutting at the threshold.
        temperature: factor of CLIP's cosines inside the softmax.

    Raises:
        ConfigError: a setting out of its range.
        CheckpointError: prompts are on and the file holds none, or it cannot be read.
    """

    score_type = "probs"
    wants_image = True
    whole_image_scores = True

    def __init__(
        self,
        proposer: Mapping[str, Any],
        *,
        pretrained: str | Path | None = None,
        prompts: bool = True,
        mask_threshold: float = 0.4,
        weight: float = 0.7,
        ensemble: bool = True,
        rule: str = "sum",
        uncovered: str = "background",
        expand: float = 1.0,
        fill: str = "mean",
        matting: bool = False,
        temperature: float = 100.0,
    ) -> None:
        super().__init__()
        check_temperature(self.score_type, temperature)
        check_weight(weight)
        _check_options(rule, uncovered, fill, mask_threshold, expand)
        self.proposer = proposer
        self.pretrained = pretrained
        self.prompts = prompts
        self.mask_threshold = mask_threshold
        self.weight = weight
        self.ensemble = ensemble
        self.rule = rule
        self.uncovered = uncovered
        self.expand = expand
        self.fill = fill
        self.matting = matting
        self.temperature = temperature
        self.source = build(proposer, PROPOSERS, "decode_head.proposer")
        self.mask_embedding: nn.Parameter | None = None
        if prompts and pretrained is not None:
            self.mask_embedding = nn.Parameter(read_prompts(pretrained))

    @classmethod
    def route_weights(cls, spec: dict[str, Any], path: Path) -> None:
        """Name a file in all the parts that it holds weights for: CLIP, prompts, proposals."""
        place(spec, read_shapes(path), path)

    @classmethod
    def fit_to_weights(
        cls, spec: dict[str, Any], read: Callable[[], Mapping[str, Tensor]], path: str | Path
    ) -> None:
        """Build without prompts for a file that brings another CLIP and none for it."""
        head = spec["decode_head"]
        if head.get("prompts", True) and lacks_prompts(read()):
            warn_prompts_off(path)
            spec["decode_head"] = {**head, "prompts": False, "pretrained": None}

    def check(self, clip: ClipEncoder) -> None:
        """Refuse an encoder without a class token, and prompts that are absent or of another one.

        Raises:
            ConfigError: no plain vision transformer, or one that the proposer cannot work with.
            CheckpointError: no prompts, or of another shape.
        """
        region_side(clip.tower)
        if self.prompts:
            check_prompts(self.mask_embedding, clip.tower, "decode_head.pretrained")
        self.source.check(clip)

    def to_precision(self, precision: str) -> MaskAdaptedClip:
        """Cast towers of the proposer's own, in place."""
        self.source.to_precision(precision)
        return self

    @property
    def uses_ground_truth(self) -> bool:
        """Whether the source of masks proposes those of each image's labels."""
        return self.source.uses_ground_truth

    def extra_prompts(self, vocabulary: Vocabulary) -> tuple[str, ...]:
        """One class alone is better than nothing else: the demo's rule compares it with others."""
        return (_OTHERS,) if self.rule == "best" and len(vocabulary.classes) == 1 else ()

    def region_features(
        self, clip: ClipEncoder, image: Tensor, prob: Tensor, batch: int = 32
    ) -> Tensor:
        """Embed the regions of masks; equal ones are looked at once.

        Args:
            clip: the encoder.
            image: (3, h, w) RGB in [0, 1].
            prob: (K, h, w) masks, none empty above the threshold.
            batch: regions at a time, which bounds the memory beside the masks.

        Returns:
            (K, E) unit rows.

        Raises:
            CheckpointError: prompts are on and there are none, or of another shape.
            InputError: masks of another size than the image.
        """
        if self.prompts:
            check_prompts(self.mask_embedding, clip.tower, "decode_head.pretrained")
        if not len(prob):
            return image.new_zeros(0, clip.embed_dim)
        hard = binarize(prob, self.mask_threshold)
        boxes = expand_boxes(mask_boxes(hard), self.expand, size_of(image))
        keep = prob if self.matting else hard
        firsts, place = distinct_regions(keep, boxes)
        fill = clip.mean if self.fill == "mean" else torch.zeros_like(clip.mean)
        side, found = region_side(clip.tower), []
        for some in firsts.to(keep.device).split(batch):
            regions = cut_regions(image, keep[some], boxes[some], side=side, fill=fill)
            flags = keep_flags(regions.masks, clip.patch_size)
            pixels = clip.pad_and_normalize(regions.pixels)
            found.append(class_features(clip.tower, pixels, flags, self.mask_embedding))
        return functional.normalize(torch.cat(found), dim=1)[place.to(image.device)]

    def mask_scores(
        self,
        clip: ClipEncoder,
        image: Tensor,
        proposals: MaskProposals,
        text_embeddings: Tensor,
        batch: int = 32,
    ) -> Tensor:
        """Score masks (Q, C) by the words (C, E) of unit length; see `region_features`.

        Raises:
            ConfigError: CLIP is left out, and the source of masks knows no words.
            InputError: masks of another size than the image, or scores of other words.
        """
        require_image_size(proposals.prob, image)
        proposed = _proposed(proposals.class_logits, len(text_embeddings))
        if not self.ensemble:
            if proposed is None:
                raise ConfigError(
                    f"{self.proposer['type']} gives masks without classes, and CLIP is left out",
                    where="decode_head.ensemble",
                    fix="set ensemble=True",
                )
            return proposed
        hard = binarize(proposals.prob, self.mask_threshold)
        valid = hard.flatten(1).any(1)
        masks = proposals.prob if self.matting else hard
        features = self.region_features(clip, image, masks[valid], batch)
        seen = (self.temperature * features @ text_embeddings.T).softmax(1)
        scores = fuse(proposed, seen, valid, self.weight)
        if proposed is None and proposals.quality is not None:
            scores = scores * proposals.quality[:, None]
        return scores

    def forward(self, inputs: HeadInput) -> ScoreGrid:
        """Score the pixels; see `Head`.

        Raises:
            ConfigError: the image is cut into windows.
        """
        if len(inputs.grid) != 1:
            raise ConfigError(
                "mask-adapted CLIP sees an image whole", where="test_cfg.mode", fix='set "whole"'
            )
        text_embeddings, vocabulary = inputs.text_embeddings, inputs.vocabulary
        num_prompts = len(text_embeddings) if vocabulary is None else len(vocabulary.prompts)
        proposals = self._complete(self.source.propose(inputs))
        masks = proposals.prob
        scores = self.mask_scores(
            inputs.clip, inputs.image_tensor, proposals, text_embeddings, inputs.batch
        )
        if self.rule == "best":
            owners = range(num_prompts) if vocabulary is None else vocabulary.prompt_class
            chosen = best_masks(scores, owners)
            masks, scores = binarize(masks[chosen], self.mask_threshold), scores[chosen]
        painted = MaskScores(masks, scores[:, :num_prompts].float())
        if vocabulary is None or vocabulary.background is None:
            return painted
        background = torch.tensor(vocabulary.prompt_class) == vocabulary.background
        return BackgroundOverriddenScores(painted, ~_covered(masks), background)

    def _complete(self, proposals: MaskProposals) -> MaskProposals:
        """Add what no mask covers as one more mask, where that is wanted and there is any."""
        rest = ~_covered(binarize(proposals.prob, self.mask_threshold))
        if self.uncovered != "rest" or not bool(rest.any()):
            return proposals
        logits, quality = proposals.class_logits, proposals.quality
        return MaskProposals(
            torch.cat([proposals.prob, rest[None].to(proposals.prob.dtype)]),
            None if logits is None else torch.cat([logits, logits.new_zeros(1, logits.shape[1])]),
            None if quality is None else torch.cat([quality, quality.new_ones(1)]),
        )


def _proposed(logits: Tensor | None, num_prompts: int) -> Tensor | None:
    """Probabilities of the source; None where it knows no words.

    Raises:
        InputError: it knows other words.
    """
    if logits is None:
        return None
    if logits.shape[1] != num_prompts + 1:
        raise InputError(
            f"class logits of shape {tuple(logits.shape)}",
            where="proposals",
            expected=f"({len(logits)}, {num_prompts + 1}): {num_prompts} words and 'no object'",
        )
    return proposal_probs(logits)


def _covered(masks: Tensor) -> Tensor:
    """(h, w) bool: pixels that some mask has anything of."""
    return masks.any(0) if masks.dtype == torch.bool else (masks > 0).any(0)


def _check_options(
    rule: str, uncovered: str, fill: str, mask_threshold: float, expand: float
) -> None:
    checks = {
        "rule": (rule, rule in RULES, " or ".join(RULES)),
        "uncovered": (uncovered, uncovered in UNCOVERED, " or ".join(UNCOVERED)),
        "fill": (fill, fill in FILLS, " or ".join(FILLS)),
        "mask_threshold": (
            mask_threshold,
            isinstance(mask_threshold, Real) and 0 <= mask_threshold < 1,
            "from 0 to below 1",
        ),
        "expand": (expand, isinstance(expand, Real) and 0 < expand < float("inf"), "above 0"),
    }
    for name, (value, right, expected) in checks.items():
        if not right:
            raise ConfigError(f"{name} {value!r}", where=f"decode_head.{name}", expected=expected)
