"""CLIP as this package uses it: images to patch features, words to vectors of the same space."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import CheckpointError, ConfigError, InputError
from ovseg.models.activations import pick_activation, set_activation, set_norm_eps
from ovseg.models.clip_weights import load_clip_file, load_image_encoder
from ovseg.models.encoder_for import tower_for
from ovseg.models.image_encoder import BackboneTokens, Dense, VisionTower, dtype_of, number_format
from ovseg.models.model_config import build_model, read_model_config, resolve_normalization
from ovseg.models.text_encoder import TextTower
from ovseg.utils.padding import margins_around
from ovseg.weights.load import TOWERS
from ovseg.weights.read import hash_state, is_torchscript, sha256
from ovseg.weights.sources import find_weights

PAD_MODES = ("before", "after", "around")


class ClipEncoder(nn.Module):
    """Both towers of a CLIP model.

    The image encoder runs in the chosen precision; the text encoder stays in float32, because text
    banks are computed once, cached and shared between precisions. Features come out in float32.

    Attributes:
        model: the model of open_clip.
        tower: its image encoder as backbone and read-out.
        name: name of the model.
        mean: (3,) mean of RGB in [0, 1]; `std` likewise.
        pad_mode: "before" pads right and below with black pixels, "after" with zeros of the
            normalized image; "around" is DeCLIP's: such zeros on all sides, to multiples of 16
            pixels.
        weights_hash: SHA-256 of the weights.
    """

    model: Any
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: Any,
        *,
        text_cfg: Mapping[str, Any],
        name: str = "custom",
        normalization: tuple[Sequence[float], Sequence[float]],
        pad_mode: str = "before",
        position_rule: str = "size",
        weights_hash: str = "",
        towers: str = "both",
    ) -> None:
        super().__init__()
        if pad_mode not in PAD_MODES:
            raise ConfigError(
                f"pad mode {pad_mode!r}", where="pad_mode", expected=", ".join(PAD_MODES)
            )
        self.model = model
        self.tower: VisionTower = tower_for(model.visual, position_rule)
        self.text = TextTower(model, text_cfg)
        self.name = name
        self.pad_mode = pad_mode
        self.weights_hash = weights_hash
        self.towers = towers
        mean, std = (torch.tensor(values, dtype=torch.float32) for values in normalization)
        self.register_buffer("mean", mean.view(3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(3, 1, 1), persistent=False)

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(mean, std) of RGB in [0, 1]."""
        return tuple(self.mean.flatten().tolist()), tuple(self.std.flatten().tolist())

    @property
    def patch_size(self) -> int:
        """Pixels that a cell of the grid spans."""
        return self.tower.patch_size

    @property
    def embed_dim(self) -> int:
        """Channels of the joint space."""
        return self.tower.embed_dim

    @property
    def context_length(self) -> int:
        """Tokens that the text encoder takes at most."""
        return self.text.context_length

    @property
    def causal_text(self) -> bool:
        """Whether prompts may be cut behind their end token without changing anything."""
        return self.text.causal

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the image encoder."""
        return dtype_of(self.model.visual)

    @property
    def text_dtype(self) -> torch.dtype:
        """Number format of the text encoder."""
        return self.text.dtype

    def to_precision(self, precision: str) -> ClipEncoder:
        """Cast the image encoder, in place.

        Args:
            precision: "fp32", "bf16" or "fp16".

        Raises:
            ConfigError: an unknown precision.
        """
        self.model.visual.to(number_format(precision))
        return self

    def pad_and_normalize(self, images: Tensor) -> Tensor:
        """Normalize images and bring their sides to multiples of the patch, as `pad_mode` says.

        Args:
            images: (B, 3, H, W) RGB in [0, 1], on any device.

        Returns:
            (B, 3, H', W') float32 on the encoder's device.

        Raises:
            InputError: another shape.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.numel():
            raise InputError(
                f"images of shape {tuple(images.shape)}", expected="(B, 3, H, W), not empty"
            )
        height, width = images.shape[-2:]
        margin = self.margins((height, width))
        images = images.to(self.mean)
        if self.pad_mode == "before":
            images = functional.pad(images, margin)
        images = (images - self.mean) / self.std
        if self.pad_mode != "before":
            images = functional.pad(images, margin)
        # A multiple of 16 need not be one of the patch: what is left over at the end is not seen.
        height, width = (side - side % self.patch_size for side in images.shape[-2:])
        return images[..., :height, :width]

    def margins(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Pixels that padding adds left, right, above and below an image of (H, W)."""
        if self.pad_mode == "around":
            above_below, left_right = (margins_around(side) for side in size)
            return *left_right, *above_below
        return 0, -size[1] % self.patch_size, 0, -size[0] % self.patch_size

    def run_backbone(
        self, images: Tensor, return_intermediates: Sequence[str] = ()
    ) -> BackboneTokens:
        """Everything before the last block of the image encoder.

        Args:
            images: (B, 3, H, W) RGB in [0, 1], any size.
            return_intermediates: inner tokens to keep, for example "ln_2@-3"; see
                `VisionTower.run_backbone`.

        Raises:
            ConfigError: an unknown intermediate.
            InputError: another shape.
        """
        return replace(
            self.tower.run_backbone(self.pad_and_normalize(images), return_intermediates),
            images=images,
        )

    def dense_features(self, backbone_tokens: BackboneTokens, name: str, **options: Any) -> Dense:
        """Patch features by an attention mode; options as for `VisionTower.dense_features`."""
        return self.tower.dense_features(backbone_tokens, name, **options)

    def encode_image(self, images: Tensor) -> Tensor:
        """Global embedding (B, E) of images (B, 3, H, W) in [0, 1], not normalized."""
        return self.tower.pooled(self.run_backbone(images))

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Token ids (N, context length) of prompts."""
        return self.text.tokenize(texts)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Embedding (N, E) float32 of token ids (N, L), not normalized.

        Raises:
            CheckpointError: the weights hold no text encoder.
            PromptError: more tokens than the context length.
        """
        if self.towers == "vision":
            raise CheckpointError(
                "the weights of this encoder hold no text encoder",
                where=self.name,
                fix="load a file with both towers to encode words",
            )
        return self.text.encode(tokens)


def build_clip(
    model: str | Path | Mapping[str, Any],
    pretrained: str | Path | None,
    *,
    act_layer: str = "model",
    ln_eps: float | None = None,
    normalization: str | tuple[Sequence[float], Sequence[float]] = "model",
    pad_mode: str = "before",
    position_rule: str = "size",
    precision: str = "fp32",
    device: str | torch.device = "cpu",
    towers: str = "both",
    tuned: str | Path | None = None,
    check_finite: bool = True,
) -> ClipEncoder:
    """Build a CLIP encoder in eval mode.

    Args:
        model: name of open_clip ("ViT-B-16"), "asset:NAME", a JSON file or a dict; see
            `read_model_config`.
        pretrained: a tag of open_clip ("openai"), "asset:NAME", a file, "hf-hub:OWNER/NAME" or a
            URL; None leaves random weights.
        act_layer: activation of the image encoder: "model", "gelu", "quick_gelu" or "gelu_tanh".
            "model" checks that the weights were trained with it, where that is known. The text
            encoder always has the activation that its weights were trained with.
        ln_eps: epsilon of every layer norm of the image encoder; None keeps the model's own.
        normalization: "model", "clip", "imagenet", "half" or (mean, std).
        pad_mode: padding to multiples of the patch "before" or "after" normalizing, or "around";
            see `ClipEncoder`.
        position_rule: "size", "plus_0.1" or "antialias"; see `resize_positions`.
        precision: "fp32", "bf16" or "fp16", of the image encoder.
        device: where the encoder goes.
        towers: what the weights must hold, "both", "vision" or "text"; the other tower stays
            random.
        tuned: weights of the image encoder that replace those of `pretrained`: as `pretrained`, but
            a file that holds exactly this tower (names under `visual.`) and nothing else. So what
            fine-tuning changed is kept without a copy of the text encoder.
        check_finite: refuse weights with NaN or infinite values.

    Raises:
        ConfigError: unknown model, setting, or an activation that contradicts the weights.
        CheckpointError: weights that cannot be had, read or fitted.

    Example:
        >>> encoder = build_clip("asset:clip_tiny", "asset:clip_tiny")
        >>> encoder.encode_text(encoder.tokenize(["a house"])).shape[0]
        1
    """
    if towers not in TOWERS:
        raise ConfigError(f"towers {towers!r}", where="towers", expected=", ".join(TOWERS))
    config = read_model_config(model)
    source = find_weights(pretrained, config.name) if pretrained is not None else None
    quick = source.quick_gelu if source else None
    vision_act, text_quick = pick_activation(act_layer, config, quick)
    path = source.local() if source else None
    if path is not None and is_torchscript(path):
        vision_act, text_quick = pick_activation(act_layer, config, True)
    whole = path is not None and towers == "both"
    clip = build_model(config, text_quick, initialize=not whole)
    set_activation(clip.visual, vision_act)
    if ln_eps is not None:
        set_norm_eps(clip.visual, ln_eps)
    if path is None:
        digest = hash_state(clip.state_dict())
    else:
        load_clip_file(clip, path, config.name, position_rule, towers, check_finite)
        digest = sha256(path)
    if tuned is not None:
        path = find_weights(tuned, config.name).local()
        load_image_encoder(clip, path, config.name, position_rule, check_finite)
        digest = hashlib.sha256(f"{digest} {sha256(path)}".encode()).hexdigest()
    stated = (source.preprocess_cfg if source else {}) | config.preprocess_cfg
    encoder = ClipEncoder(
        clip,
        text_cfg=config.model_cfg["text_cfg"],
        name=config.name,
        normalization=resolve_normalization(normalization, stated),
        pad_mode=pad_mode,
        position_rule=position_rule,
        weights_hash=digest,
        towers=towers,
    )
    return encoder.to_precision(precision).eval().to(device)
