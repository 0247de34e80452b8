"""Training of the proposal network of mask-adapted CLIP on mmseg's data and loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ovseg.errors import ConfigError
from ovseg.mm.backbone import refuse_normalized
from ovseg.mm.plain import to_dict
from ovseg.models.clip import build_clip
from ovseg.models.maskformer import MaskFormer, load_backbone, pad_to_stride
from ovseg.models.maskformer_backbones import BACKBONES
from ovseg.models.maskformer_head import Queries, proposal_logits
from ovseg.prompts.text_bank import TextBank
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.training.mask_losses import WEIGHTS, mask_losses, pixel_loss, targets_of_labels
from ovseg.utils.plain_data import build, resolve_type

__all__ = ["MaskFormerModel"]


@MODELS.register_module()
class MaskFormerModel(BaseModel):
    """A proposal network that learns one mask for every class of an image; CLIP is frozen.

    Args:
        backbone: a type of `ovseg.models.maskformer_backbones.BACKBONES` and its arguments.
        clip: of type `ClipBackbone`; only its words are used, and it is not kept.
        vocabulary: the classes, as `Vocabulary.parse` takes them, one query each.
        templates: prompt templates.
        head: further arguments of `ovseg.models.maskformer_head.MaskFormerHead`.
        pretrained: weights of the backbone to start with, under its maker's names.
        pixel_weight: factor of an auxiliary loss that names every pixel by the pixel decoder's
            map, for networks that start from random weights; see `pixel_loss`.
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
        pixel_weight: float = 0.0,
        data_preprocessor: Mapping[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {"type": "SegDataPreProcessor", "bgr_to_rgb": True}
        super().__init__(data_preprocessor=MODELS.build(preprocessor))
        parsed_vocabulary = Vocabulary.parse(to_dict(vocabulary))
        if len(parsed_vocabulary.prompts) != len(parsed_vocabulary.classes):
            raise ConfigError(
                "classes of several prompts", where="model.vocabulary", expected="one prompt each"
            )
        make, options = resolve_type(to_dict(clip), {"ClipBackbone": build_clip}, "clip")
        rows = TextBank(make(**options), to_dict(templates)).encode(parsed_vocabulary.prompts)
        self.register_buffer("text", rows, persistent=False)
        body = build(to_dict(backbone), BACKBONES, "backbone")
        if pretrained is not None:
            load_backbone(body, pretrained)
        self.network = MaskFormer(body, rows.shape[1], **(to_dict(head) if head else {}))
        self.pixel_weight = pixel_weight
        if pixel_weight:
            width = self.network.head.pixel_decoder.mask_features.out_channels
            self.pixel_embed = nn.Conv2d(width, rows.shape[1], 1)

    def forward(
        self, inputs: Tensor, data_samples: list[SegDataSample], mode: str = "loss"
    ) -> dict[str, Tensor]:
        """Losses of every decoder layer, each with its own matching.

        Args:
            inputs: (B, 3, H, W) RGB from 0 to 255.
            data_samples: with `gt_sem_seg`.
            mode: mmengine's; there is only "loss".

        Raises:
            ConfigError: the images are normalized.
        """
        refuse_normalized(inputs)
        labels = torch.cat([sample.gt_sem_seg.data for sample in data_samples]).long()
        labels = pad_to_stride(labels, value=255)
        features = self.network.features(inputs)
        pixels = self.network.head.pixel_decoder(features)
        layers = self.network.head.decode(features[-1], pixels)
        # Cosines times 100 in half precision would be rough.
        with torch.autocast(inputs.device.type, enabled=False):
            losses = self._mask_losses(layers, labels)
            if self.pixel_weight:
                embed = self.pixel_embed(pixels.float()).permute(0, 2, 3, 1)
                logits = proposal_logits(embed, self.text).permute(0, 3, 1, 2)
                losses["loss_pixel"] = self.pixel_weight * pixel_loss(logits, labels)
        return losses

    def _mask_losses(self, layers: Sequence[Queries], labels: Tensor) -> dict[str, Tensor]:
        targets = [targets_of_labels(each) for each in labels]
        total = torch.tensor(float(sum(len(t.labels) for t in targets)), device=labels.device)
        all_reduce(total, op="mean")
        losses: dict[str, Tensor] = {}
        for number, found in enumerate(layers):
            suffix = f"_{number}" if number + 1 < len(layers) else ""
            logits = self.network.logits(found.embed.float(), self.text)
            parts = mask_losses(logits, found.masks, targets, max(float(total), 1.0))
            losses |= {f"loss_{k}{suffix}": WEIGHTS[k] * part for k, part in parts.items()}
        return losses

    def release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the network of a checkpoint, as `MaskFormerProposer` takes it."""
        prefix = "network."
        return {
            name.removeprefix(prefix): part
            for name, part in state.items()
            if name.startswith(prefix)
        }
