"""Training of the proposal network of mask-adapted CLIP on mmseg's data and loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import functional

from ovseg.encoders.clip import build_clip
from ovseg.encoders.text_bank import TextBank
from ovseg.errors import ConfigError
from ovseg.mm.backbone import refuse_normalised
from ovseg.mm.plain import plain
from ovseg.plain_data import arguments_of, build
from ovseg.proposals.backbones import BACKBONES
from ovseg.proposals.maskformer import STRIDE, MaskFormer, load_backbone
from ovseg.training.mask_losses import WEIGHTS, MaskTargets, mask_losses, targets_of_labels
from ovseg.vocabulary import Vocabulary

__all__ = ["MaskFormerModel"]


@MODELS.register_module()
class MaskFormerModel(BaseModel):
    """A proposal network that learns one mask for every class of a picture; CLIP is frozen.

    Args:
        backbone: a type of `ovseg.proposals.backbones.BACKBONES` and its arguments.
        clip: of type `ClipBackbone`; only its words are used, and it is not kept.
        vocabulary: the classes, as `Vocabulary.parse` takes them, one query each.
        templates: prompt templates.
        head: further arguments of `ovseg.proposals.maskformer_head.MaskFormerHead`.
        pretrained: weights of the backbone to start with, under its maker's names.
        data_preprocessor: must leave RGB from 0 to 255.

    Raises:
        ConfigError: a wrong setting.
        CheckpointError: weights that cannot be had.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        clip: Mapping[str, Any],
        vocabulary: str | Sequence[str],
        templates: str | Sequence[str] = "vild14",
        head: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {"type": "SegDataPreProcessor", "bgr_to_rgb": True}
        super().__init__(data_preprocessor=MODELS.build(preprocessor))
        words = Vocabulary.parse(plain(vocabulary))
        if len(words.queries) != len(words.classes):
            raise ConfigError(
                "classes of several queries", where="model.vocabulary", expected="one query each"
            )
        make, options = arguments_of(plain(clip), {"ClipBackbone": build_clip}, "clip")
        rows = TextBank(make(**options), plain(templates)).encode(words.queries)
        self.register_buffer("text", rows, persistent=False)
        body = build(plain(backbone), BACKBONES, "backbone")
        if pretrained is not None:
            load_backbone(body, pretrained)
        self.network = MaskFormer(body, rows.shape[1], **(plain(head) if head else {}))

    def forward(
        self, inputs: Tensor, data_samples: list[SegDataSample], mode: str = "loss"
    ) -> dict[str, Tensor]:
        """Losses of every decoder layer, each with its own matching.

        Args:
            inputs: (B, 3, H, W) RGB from 0 to 255.
            data_samples: with `gt_sem_seg`.
            mode: mmengine's; there is only "loss".

        Raises:
            ConfigError: the pictures are normalised.
        """
        refuse_normalised(inputs)
        targets = [_padded(targets_of_labels(s.gt_sem_seg.data[0].long())) for s in data_samples]
        total = torch.tensor(float(sum(len(t.labels) for t in targets)), device=inputs.device)
        all_reduce(total, op="mean")
        *earlier, last = self.network(inputs)
        layers = {"": last} | {f"_{number}": each for number, each in enumerate(earlier)}
        losses = {}
        for suffix, found in layers.items():
            logits = self.network.logits(found.embed, self.text)
            parts = mask_losses(logits, found.masks, targets, max(float(total), 1.0))
            losses |= {f"loss_{k}{suffix}": WEIGHTS[k] * part for k, part in parts.items()}
        return losses

    def release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the network of a checkpoint, as `MaskFormerProposer` takes it."""
        prefix = "network."
        return {name.removeprefix(prefix): part for name, part in state.items()}


def _padded(targets: MaskTargets) -> MaskTargets:
    """Masks over all that the network sees: pictures are padded to multiples of its stride."""
    height, width = targets.masks.shape[1:]
    margin = (0, -width % STRIDE, 0, -height % STRIDE)
    return targets._replace(masks=functional.pad(targets.masks, margin))
