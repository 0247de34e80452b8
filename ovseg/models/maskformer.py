"""The proposal network of mask-adapted CLIP: a backbone, MaskFormer's decoders, "no object"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.models.maskformer_head import MaskFormerHead, Queries, proposal_logits
from ovseg.weights.load import load_strict
from ovseg.weights.read import read_state_dict
from ovseg.weights.sources import local_file

if TYPE_CHECKING:
    from ovseg.models.maskformer_backbones import Backbone

__all__ = [
    "STRIDE",
    "MaskFormer",
    "batch_counters",
    "load_backbone",
    "pad_to_stride",
    "to_maskformer",
]

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
STRIDE = 32
"""Images are padded to a multiple of it."""


class MaskFormer(nn.Module):
    """Images to soft masks and class embeddings.

    Args:
        backbone: gives four maps at strides 4 to 32, and says their `channels`.
        embed_dim: length of the words' vectors.
        **head: further arguments of `MaskFormerHead`.

    Attributes:
        no_object: (1, embed_dim) learned row that stands for "no object".
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, embed_dim: int, **head: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = MaskFormerHead(backbone.channels, embed_dim, **head)
        self.no_object = nn.Parameter(torch.randn(1, embed_dim) * embed_dim**-0.5)
        for name, values in (("mean", MEAN), ("std", STD)):
            buffer = torch.tensor(values).view(3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, images: Tensor) -> list[Queries]:
        """Decode images.

        Args:
            images: (B, 3, H, W) RGB from 0 to 255.

        Returns:
            What every decoder layer makes. The masks also cover the padding to multiples of 32,
            right and below, which is zero after normalizing.
        """
        return self.head(self.features(images))

    def features(self, images: Tensor) -> list[Tensor]:
        """The backbone's four maps of images; arguments as for `forward`."""
        return self.backbone(pad_to_stride((images - self.mean) / self.std))

    def logits(self, embed: Tensor, text_embeddings: Tensor) -> Tensor:
        """Class logits (..., Q, C + 1), "no object" last, of embeddings by unit rows (C, E)."""
        rows = torch.cat([text_embeddings, functional.normalize(self.no_object, dim=-1)])
        return proposal_logits(embed, rows)


def pad_to_stride(maps: Tensor, value: float = 0.0) -> Tensor:
    """Fill maps (..., H, W) up to multiples of `STRIDE`, right and below."""
    height, width = maps.shape[-2:]
    return functional.pad(maps, (0, -width % STRIDE, 0, -height % STRIDE), value=value)


def to_maskformer(state: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    """Take the proposal network out of a released whole model, in the names of `MaskFormer`.

    Left out are CLIP and the constants beside it. Weights that have the names already stay as they
    are, and so do names that nothing matches, which fail the strict load.

    Args:
        state: names and tensors.
        backbone: of the model that takes them; it knows its maker's names.
    """
    if "no_object" in state:
        return dict(state)
    found = {}
    for key, value in state.items():
        part, _, inner = key.partition(".")
        if part == "backbone":
            # The one tensor that our Swin keeps in another shape.
            flat = inner.endswith("relative_position_index")
            found[f"backbone.{backbone.rename(inner)}"] = value.flatten() if flat else value
        elif part == "sem_seg_head":
            found[f"head.{inner}"] = value
        elif key == "clip_adapter.non_object_embedding":
            found["no_object"] = value
        elif part not in ("clip_adapter", "criterion"):
            found[key] = value
    return found


def load_backbone(backbone: Backbone, pretrained: str | Path) -> None:
    """Give a backbone the weights of a classifier, in place; norms of its outputs stay new.

    Args:
        backbone: knows its maker's names.
        pretrained: "asset:NAME", a file or an address.

    Raises:
        CheckpointError: weights that cannot be had, read or fitted.
    """
    path = local_file(pretrained, "a proposal network")
    classifier = ("head.", "norm.", "fc.", "stem.fc.")
    state = {
        f"backbone.{key}": value
        for key, value in read_state_dict(path).items()
        if not key.startswith(classifier) and not key.endswith("attn_mask")
    }
    renamed = to_maskformer(state, backbone)
    given = {key.removeprefix("backbone."): value for key, value in renamed.items()}
    new = {key: value for key, value in backbone.state_dict().items() if "norms." in key}
    load_strict(backbone, batch_counters(backbone) | new | given, where=path)


def batch_counters(network: nn.Module) -> dict[str, Tensor]:
    """Counters of batches, which count nothing here: Detectron2's files may have none."""
    state = network.state_dict()
    return {name: each for name, each in state.items() if name.endswith("num_batches_tracked")}
