"""DINO as a second pair of eyes: patch features of a vision transformer of timm.

Sources: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers" (ICCV 2021);
CLIP-DINOiser and FOUND read values or keys of its last block, Trident its output.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import CheckpointError, ConfigError, InputError
from ovseg.models.image_encoder import BackboneTokens, dtype_of, number_format, to_map
from ovseg.models.model_config import resolve_normalization
from ovseg.models.position_embedding import check_rule, fit_positions, resize_positions
from ovseg.weights.download import TIMM_FILES, Weights
from ovseg.weights.load import load_strict
from ovseg.weights.read import hash_state, read_state_dict, sha256
from ovseg.weights.sources import find_file, json_path, read_json

__all__ = ["PARTS", "DinoEncoder", "build_dino", "build_vit", "find_dino_weights"]

PARTS = ("q", "k", "v", "out")
"""Queries, keys and values of the last block, or its output after the final norm."""


class DinoEncoder(nn.Module):
    """Patch features of a plain vision transformer of timm.

    Args:
        model: the network; class and register tokens stand in front of the patches.
        name: name of the model.
        normalization: (mean, std) of RGB in [0, 1].
        position_rule: see `ovseg.models.position_embedding.resize_positions`.
        weights_hash: SHA-256 of the weights.

    Attributes:
        mean: (3, 1, 1) mean of RGB in [0, 1]; `std` likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: VisionTransformer,
        *,
        name: str = "custom",
        normalization: Any = "imagenet",
        position_rule: str = "plus_0.1",
        weights_hash: str = "",
    ) -> None:
        super().__init__()
        check_rule(position_rule)
        self.model = model
        self.name = name
        self.position_rule = position_rule
        self.weights_hash = weights_hash
        mean, std = (torch.tensor(v) for v in resolve_normalization(normalization, {}))
        self.register_buffer("mean", mean.view(3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(3, 1, 1), persistent=False)

    @property
    def patch_size(self) -> int:
        """Pixels that a cell of the grid spans."""
        return self.model.patch_embed.patch_size[0]

    @property
    def width(self) -> int:
        """Channels of the features."""
        return self.model.embed_dim

    @property
    def heads(self) -> int:
        """Attention heads of the last block; they lie one after the other in q, k and v."""
        last: Any = self.model.blocks[-1]
        return last.attn.num_heads

    @property
    def native_grid(self) -> tuple[int, int]:
        """Trained (rows, columns)."""
        rows, columns = self.model.patch_embed.grid_size
        return rows, columns

    def to_precision(self, precision: str) -> DinoEncoder:
        """Cast the network to "fp32", "bf16" or "fp16", in place; features stay float32."""
        self.model.to(number_format(precision))
        return self

    def pad_and_normalize(self, images: Tensor) -> Tensor:
        """Pad images with black right and below to multiples of the patch, then normalize them.

        Args:
            images: (B, 3, H, W) RGB in [0, 1], on any device.

        Raises:
            InputError: another shape.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.numel():
            raise InputError(
                f"images of shape {tuple(images.shape)}", expected="(B, 3, H, W), not empty"
            )
        height, width = images.shape[-2:]
        margin = (0, -width % self.patch_size, 0, -height % self.patch_size)
        return (functional.pad(images.to(self.mean), margin) - self.mean) / self.std

    def run_backbone(self, images: Tensor) -> BackboneTokens:
        """Run all blocks but the last.

        Args:
            images: (B, 3, H, W) RGB in [0, 1], any size.
        """
        model, images = self.model, self.pad_and_normalize(images)
        grid = images.shape[-2] // self.patch_size, images.shape[-1] // self.patch_size
        patches = model.patch_embed.proj(images.to(dtype_of(model))).flatten(2).transpose(1, 2)
        patches = model.patch_embed.norm(patches)
        prefix = [model.cls_token, model.reg_token]
        front = [token.expand(len(patches), -1, -1) for token in prefix if token is not None]
        table = self._positions(grid)
        if model.no_embed_class:
            tokens = torch.cat([*front, patches + table], dim=1)
        else:
            tokens = torch.cat([*front, patches], dim=1) + table
        tokens = model.norm_pre(tokens)
        for block in model.blocks[:-1]:
            tokens = block(tokens)
        return BackboneTokens(tokens, grid)

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        table = cast("Tensor", self.model.pos_embed)  # build_vit refuses a network without
        return resize_positions(
            table[0],
            grid,
            self.position_rule,
            native=self.native_grid,
            prefix=_position_prefix(self.model),
        )

    def read(self, backbone_tokens: BackboneTokens, part: str) -> Tensor:
        """Read patch features out of the last block.

        Args:
            backbone_tokens: what `run_backbone` returned.
            part: "q", "k" or "v" of the last block, heads one after the other, as its linear layer
                gives them (bias included, not scaled); "out" is the output of the network, the
                final norm included.

        Returns:
            (B, C, h, w) float32, of any length; class and register tokens are left out.

        Raises:
            ConfigError: an unknown part.
        """
        if part not in PARTS:
            raise ConfigError(f"unknown part {part!r}", expected=", ".join(PARTS))
        last: Any = self.model.blocks[-1]
        prefix = self.model.num_prefix_tokens
        if part == "out":
            found = self.model.norm(last(backbone_tokens.tokens))[:, prefix:]
        else:
            qkv, index = last.attn.qkv, PARTS.index(part)
            bias = None if qkv.bias is None else qkv.bias.chunk(3)[index]
            normed = last.norm1(backbone_tokens.tokens[:, prefix:])
            found = functional.linear(normed, qkv.weight.chunk(3)[index], bias)
        return to_map(found, backbone_tokens.grid)

    def forward(self, images: Tensor, part: str = "v") -> Tensor:
        """Patch features (B, C, h, w) of images (B, 3, H, W) in [0, 1]; see `read`."""
        return self.read(self.run_backbone(images), part)


def build_dino(
    model: str | Path | Mapping[str, Any],
    pretrained: str | Path | None,
    *,
    normalization: Any = "imagenet",
    position_rule: str = "plus_0.1",
    device: str | torch.device = "cpu",
    check_finite: bool = True,
) -> DinoEncoder:
    """Build a DINO encoder in eval mode.

    Args:
        model: name of timm ("vit_base_patch16_224"), "asset:NAME", a JSON file or a dict; see
            `build_vit`.
        pretrained: a tag of timm for this model ("dino"), "asset:NAME", a file,
            "hf-hub:OWNER/NAME/FILE" or a URL; None leaves random weights.
        normalization: "imagenet", another name of `resolve_normalization`, or (mean, std).
        position_rule: "plus_0.1" is DINO's own; see `resize_positions`.
        device: where the encoder goes.
        check_finite: refuse weights with NaN or infinite values.

    Raises:
        ConfigError: an unknown model, or a setting that it does not take.
        CheckpointError: weights that cannot be had, read or fitted.

    Example:
        >>> encoder = build_dino("asset:dino_tiny", None)
        >>> encoder(torch.zeros(1, 3, 30, 40)).shape
        torch.Size([1, 128, 4, 5])
    """
    vit, name = build_vit(model)
    source = None if pretrained is None else find_dino_weights(pretrained, name)
    if source is None:
        digest = hash_state(vit.state_dict())
    else:
        path = source.local()
        load_vit(vit, read_state_dict(path, check_finite=check_finite), path, position_rule)
        digest = sha256(path)
    encoder = DinoEncoder(
        vit,
        name=name,
        normalization=normalization,
        position_rule=position_rule,
        weights_hash=digest,
    )
    return encoder.eval().to(device)


def build_vit(model: str | Path | Mapping[str, Any]) -> tuple[VisionTransformer, str]:
    """Build the network with random weights, and tell its name.

    Args:
        model: name of timm, with or without a tag; "asset:NAME" or a JSON file or a dict with
            arguments of timm's `VisionTransformer` and `layer_norm_eps` (1e-6 where left out).

    Raises:
        ConfigError: an unknown name, an unreadable file, or a network without patch features.
        CheckpointError: no such asset.
    """
    if isinstance(model, Mapping):
        vit: Any = _from_arguments("custom", model)
        name = "custom"
    elif str(model).startswith("asset:") or Path(model).suffix == ".json":
        path = json_path(model)
        vit, name = _from_arguments(path.stem, read_json(path)), path.stem
    else:
        name = str(model).partition(".")[0]
        vit = _from_timm(name)
    plain = isinstance(vit, VisionTransformer) and vit.pos_embed is not None and vit.blocks
    if not plain or not hasattr(vit.blocks[-1].attn, "qkv"):
        raise ConfigError(
            f"{name} is no plain vision transformer",
            where="dino.model",
            expected="a model like vit_base_patch16_224",
        )
    return vit, name


def _from_arguments(name: str, arguments: Mapping[str, Any]) -> VisionTransformer:
    given = {"num_classes": 0, **arguments}
    norm = partial(nn.LayerNorm, eps=given.pop("layer_norm_eps", 1e-6))
    try:
        return VisionTransformer(**given, norm_layer=norm)
    except Exception as error:
        # What timm stumbles over in a stranger's values can be anything.
        raise ConfigError(f"timm cannot build this model: {error}", where=name) from error


def _from_timm(name: str) -> nn.Module:
    if not timm.is_model(name):
        known = timm.list_models("vit_*")
        close = get_close_matches(name, known, n=3, cutoff=0.4)
        raise ConfigError(
            f"unknown model {name!r}",
            where="dino.model",
            expected=f"a name of timm (closest: {', '.join(close) or 'none'}) or a JSON file",
        )
    return timm.create_model(name, pretrained=False, num_classes=0)


def _position_prefix(vit: VisionTransformer) -> int:
    """Rows of the position table that belong to no patch."""
    return 0 if vit.no_embed_class else vit.num_prefix_tokens


def load_vit(
    vit: VisionTransformer, state: dict[str, Tensor], where: Path, position_rule: str
) -> None:
    """Load weights under timm's (and DINO's own) names, strictly; another grid is resized.

    Raises:
        CheckpointError: names are missing, left over, or of another shape.
    """
    grid, prefix = tuple(vit.patch_embed.grid_size), _position_prefix(vit)
    fit_positions(state, "pos_embed", grid, prefix, position_rule, where)
    load_strict(vit, state, where=where)


def find_dino_weights(pretrained: str | Path, name: str) -> Weights:
    """Find out what `pretrained` names; nothing is fetched yet.

    Args:
        pretrained: tag of timm for this model, or what `find_file` takes.
        name: name of the model, to look up tags.

    Raises:
        CheckpointError: nothing of that kind.
    """
    tagged = f"{name}.{pretrained}"
    known = timm.list_pretrained(f"{name}.*")
    if tagged in known:
        cfg: Any = timm.get_pretrained_cfg(tagged)
        return Weights(hub=cfg.hf_hub_id, files=TIMM_FILES, url=cfg.url)
    source = find_file(pretrained)
    if source is None:
        tags = ", ".join(each.partition(".")[2] for each in known)
        raise CheckpointError(
            f"no such weights file, nor a tag of {name}",
            where=pretrained,
            expected=f"a file, or one of the tags {tags}" if tags else "a file",
            fix="give the path of a file with weights",
        )
    return source
