"""Masks of a trained proposal network, as mask-adapted CLIP takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.inference.head_input import HeadInput
from ovseg.masks.proposer import MaskProposals, Proposer
from ovseg.models.clip import ClipEncoder
from ovseg.models.maskformer import STRIDE, MaskFormer, batch_counters, to_maskformer
from ovseg.models.maskformer_backbones import BACKBONES
from ovseg.registry import register_proposer
from ovseg.utils.plain_data import build
from ovseg.weights.load import load_strict
from ovseg.weights.read import read_state_dict
from ovseg.weights.rename_ovseg import check_whole, is_whole_model
from ovseg.weights.sources import local_file

__all__ = ["MaskFormerProposer"]


@register_proposer("MaskFormerProposer")
class MaskFormerProposer(Proposer):
    """Soft masks of a trained proposal network, each with scores of the words.

    Args:
        backbone: a type of `ovseg.models.maskformer_backbones.BACKBONES` and its arguments.
        embed_dim: length of the words' vectors.
        pretrained: a released whole model of mask-adapted CLIP, or what `ovseg train` has written:
            "asset:NAME", a file or an address. None leaves random weights.
        head: further arguments of `MaskFormerHead`.

    Raises:
        ConfigError: an unknown type or key.
        CheckpointError: weights that cannot be had, read or fitted.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        embed_dim: int,
        pretrained: str | Path | None = None,
        head: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.embed_dim = backbone, embed_dim
        self.pretrained, self.head = pretrained, head
        self.network = MaskFormer(build(backbone, BACKBONES, "backbone"), embed_dim, **(head or {}))
        if pretrained is not None:
            path = local_file(pretrained, "a proposal network")
            given = read_state_dict(path)
            if is_whole_model(given):
                check_whole(given, path)
            state = to_maskformer(given, self.network.backbone)
            load_strict(self.network, batch_counters(self.network) | state, where=path)

    def check(self, clip: ClipEncoder) -> None:
        """Refuse an encoder of another width.

        Raises:
            ConfigError: it is one.
        """
        if clip.embed_dim != self.embed_dim:
            raise ConfigError(
                f"words of {clip.embed_dim} numbers for embeddings of {self.embed_dim}",
                where="proposer.embed_dim",
                fix=f"choose a proposal network trained for {clip.name}",
            )

    def released(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the network inside a released whole model; see `Proposer`."""
        found = to_maskformer(state, self.network.backbone)
        return {f"network.{name}": tensor for name, tensor in found.items()}

    @torch.no_grad()
    def propose(self, inputs: HeadInput) -> MaskProposals:
        """Return the network's masks of an image; mask logits are resized before the sigmoid."""
        images = 255 * inputs.image_tensor[None]
        found = self.network(images)[-1]
        height, width = images.shape[2:]
        padded = (height + -height % STRIDE, width + -width % STRIDE)
        masks = functional.interpolate(found.masks, padded, mode="bilinear", align_corners=False)
        prob = masks[0, :, :height, :width].sigmoid()
        return MaskProposals(prob, self.network.logits(found.embed[0], inputs.text_embeddings))
