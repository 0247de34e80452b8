"""SAM through segment_anything: the image encoder, the prompt encoder and the mask decoder.

Source: Kirillov et al., "Segment Anything" (ICCV 2023), and Meta's published weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from torch import Tensor, nn

from ovseg.errors import CheckpointError, ConfigError
from ovseg.images.decode import require_rgb
from ovseg.models.image_encoder import number_format
from ovseg.models.sam_features import SamFeatures, SamImage
from ovseg.weights.download import SAM_FILES, Weights
from ovseg.weights.load import load_strict
from ovseg.weights.read import hash_state, read_state_dict, sha256
from ovseg.weights.sources import find_file, json_path, read_json

__all__ = ["SamEncoder", "SamFeatures", "SamImage", "build_sam", "build_sam_network", "stretch"]

# Width, blocks, heads and global blocks of the image encoders that Meta published.
_SIZES = {
    "vit_b": (768, 12, 12, (2, 5, 8, 11)),
    "vit_l": (1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": (1280, 32, 16, (7, 15, 23, 31)),
}
_HUGE = 1280


class SamEncoder(nn.Module):
    """SAM with its preparation of images.

    The image encoder runs in the chosen precision, prompts and masks always in float32.

    Args:
        model: the network.
        name: name of the model.
        weights_hash: SHA-256 of the weights.
    """

    def __init__(self, model: Sam, *, name: str = "custom", weights_hash: str = "") -> None:
        super().__init__()
        self.model = model
        self.name = name
        self.weights_hash = weights_hash

    @property
    def side(self) -> int:
        """Side S of the square that the encoder takes, in pixels."""
        return self.model.image_encoder.img_size

    @property
    def patch_size(self) -> int:
        """Pixels that a cell of the grid spans."""
        return self.model.image_encoder.patch_embed.proj.kernel_size[0]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the image encoder."""
        return self.model.image_encoder.patch_embed.proj.weight.dtype

    def to_precision(self, precision: str) -> SamEncoder:
        """Cast the image encoder, in place.

        ViT-H gives garbage in fp16: there bf16 is taken where the device can do it, else fp32,
        with a warning.

        Args:
            precision: "fp32", "bf16" or "fp16".

        Raises:
            ConfigError: an unknown precision.
        """
        wanted = number_format(precision)
        width = self.model.image_encoder.patch_embed.proj.out_channels
        if precision == "fp16" and width >= _HUGE:
            precision = "bf16" if _has_bf16(self.device) else "fp32"
            wanted = number_format(precision)
            warnings.warn(
                f"SAM ViT-H gives garbage in fp16: its encoder runs in {precision}", stacklevel=2
            )
        self.model.image_encoder.to(wanted)
        return self

    def prepare(
        self, image: np.ndarray, multiple: int = 1, *, full_patches: bool = False
    ) -> SamImage:
        """Bring an image to the encoder's form, as SAM's own predictor does.

        Args:
            image: (H, W, 3) uint8 RGB.
            multiple: round the sides up to multiples of this first (OpenCV, bilinear).
            full_patches: round the short side to full patches; SAM's own way leaves a part of one.

        Raises:
            InputError: no such array.
        """
        image = stretch(image, multiple)
        size, scaled = self._sizes(image, multiple, full_patches)
        seen = Image.fromarray(image).resize(scaled[::-1], Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(seen)).permute(2, 0, 1).to(self.device)
        return SamImage(self.model.preprocess(pixels.float()[None]), size, scaled)

    @torch.no_grad()
    def encode(
        self, image: np.ndarray, multiple: int = 1, *, full_patches: bool = False
    ) -> SamFeatures:
        """Run the image encoder to its last block; the rest follows when it is asked for.

        Args:
            image: as for `prepare`.
            multiple: as for `prepare`.
            full_patches: as for `prepare`.

        Raises:
            InputError: no such array.
        """
        ready = self.prepare(image, multiple, full_patches=full_patches)
        return SamFeatures(self.model.image_encoder, ready)

    def has_seen(self, image: np.ndarray, features: SamFeatures, multiple: int = 1) -> bool:
        """Whether features of an image are what `encode` would give for all of it.

        Args:
            image: (H, W, 3), the image that they come from.
            features: made by any encoder, with any options, of the image or of a part of it.
            multiple: as for `prepare`.
        """
        ours = features.encoder is self.model.image_encoder
        return ours and (features.size, features.scaled) == self._sizes(image, multiple)

    def _sizes(
        self, image: np.ndarray, multiple: int, full_patches: bool = False
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """(H, W) of an image after `stretch`, and of the part of the input that it covers."""
        size = _stretched(image, multiple)
        return size, long_side_size(size, self.side, self.patch_size if full_patches else 1)


def stretch(image: np.ndarray, multiple: int) -> np.ndarray:
    """Stretch an image so that its sides are multiples of a number (OpenCV, bilinear).

    Args:
        image: (H, W, 3) uint8 RGB.
        multiple: the number.

    Raises:
        InputError: no such array.
    """
    require_rgb(image)
    size = _stretched(image, multiple)
    if size == image.shape[:2]:
        return np.ascontiguousarray(image)
    import cv2

    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


def _stretched(image: np.ndarray, multiple: int) -> tuple[int, int]:
    """(H, W) of an image, rounded up to multiples of a number."""
    height, width = (side + -side % multiple for side in image.shape[:2])
    return height, width


def long_side_size(size: tuple[int, int], side: int, multiple: int = 1) -> tuple[int, int]:
    """Scale (H, W) so that the longer one becomes `side`; rounded as SAM does, at least 1.

    Args:
        size: (H, W).
        side: wanted length, itself a multiple.
        multiple: both are rounded to multiples of this.

    Example:
        >>> long_side_size((112, 160), 1024), long_side_size((1, 5000), 1024)
        ((717, 1024), (1, 1024))
        >>> long_side_size((112, 160), 1024, 16)
        (720, 1024)
    """
    scale = side / max(size) / multiple
    height, width = (max(int(length * scale + 0.5), 1) * multiple for length in size)
    return height, width


def build_sam(
    model: str | Path | Mapping[str, Any],
    pretrained: str | Path | None,
    *,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
    check_finite: bool = True,
) -> SamEncoder:
    """Build SAM in eval mode.

    Args:
        model: "vit_b", "vit_l", "vit_h", "asset:NAME", a JSON file or a dict; see
            `build_sam_network`.
        pretrained: "sa1b" (Meta's file for this model), "asset:NAME", a file,
            "hf-hub:OWNER/NAME/FILE" or a URL; None leaves random weights.
        device: where it goes.
        precision: "fp32", "bf16" or "fp16", of the image encoder; see `SamEncoder.to_precision`.
        check_finite: refuse weights with NaN or infinite values.

    Raises:
        ConfigError: an unknown model or precision.
        CheckpointError: weights that cannot be had, read or fitted.

    Example:
        >>> sam = build_sam("asset:sam_tiny", "asset:sam_tiny")
        >>> sam.encode(np.zeros((30, 40, 3), np.uint8)).embedding.shape
        torch.Size([1, 64, 32, 32])
    """
    name, config = _find_config(model)
    # Before the network, which takes a while to build: weights that are not there.
    path = None if pretrained is None else _find_weights(pretrained, name).local()
    network = build_sam_network(config, name)
    if path is None:
        digest = hash_state(network.state_dict())
    else:
        state = read_state_dict(path, check_finite=check_finite)
        load_strict(network, state, where=path, hint=partial(_fitting_size, state, name))
        digest = sha256(path)
    encoder = SamEncoder(network, name=name, weights_hash=digest).eval().to(device)
    return encoder.to_precision(precision)


def build_sam_network(config: Mapping[str, Any], name: str = "custom") -> Sam:
    """Build segment_anything's network with random weights.

    Args:
        config: arguments of its constructors under `image_encoder` (with `norm_eps`, the epsilon
            of its norms), `prompt_encoder`, `mask_decoder` (with those of `TwoWayTransformer` under
            `transformer`), `pixel_mean` and `pixel_std`.
        name: named in errors.

    Raises:
        ConfigError: arguments that segment_anything cannot build from.
    """
    try:
        return _network(config)
    except Exception as error:
        # What segment_anything stumbles over in a stranger's values can be anything.
        raise ConfigError(
            f"segment_anything cannot build this model: {type(error).__name__}: {error}",
            where=name,
            expected="image_encoder, prompt_encoder, mask_decoder, pixel_mean and pixel_std",
        ) from error


def _network(config: Mapping[str, Any]) -> Sam:
    encoder = dict(config["image_encoder"])
    norm = partial(nn.LayerNorm, eps=encoder.pop("norm_eps", 1e-6))
    prompts = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in config["prompt_encoder"].items()
    }
    decoder = dict(config["mask_decoder"])
    decoder["transformer"] = TwoWayTransformer(**decoder["transformer"])
    return Sam(
        image_encoder=ImageEncoderViT(norm_layer=norm, **encoder),
        prompt_encoder=PromptEncoder(**prompts),
        mask_decoder=MaskDecoder(**decoder),
        pixel_mean=config["pixel_mean"],
        pixel_std=config["pixel_std"],
    )


def _published(size: str) -> dict[str, Any]:
    """Arguments of one of Meta's models."""
    width, depth, heads, global_blocks = _SIZES[size]
    return {
        "image_encoder": {
            "embed_dim": width,
            "depth": depth,
            "num_heads": heads,
            "global_attn_indexes": global_blocks,
            "img_size": 1024,
            "patch_size": 16,
            "use_rel_pos": True,
            "window_size": 14,
            "out_chans": 256,
        },
        "prompt_encoder": {
            "embed_dim": 256,
            "image_embedding_size": (64, 64),
            "input_image_size": (1024, 1024),
            "mask_in_chans": 16,
        },
        "mask_decoder": {
            "transformer_dim": 256,
            "transformer": {"depth": 2, "embedding_dim": 256, "mlp_dim": 2048, "num_heads": 8},
        },
        "pixel_mean": (123.675, 116.28, 103.53),
        "pixel_std": (58.395, 57.12, 57.375),
    }


def _find_config(model: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and constructor arguments of a model."""
    if isinstance(model, Mapping):
        return "custom", deepcopy(dict(model))
    text = str(model)
    if text in _SIZES:
        return text, _published(text)
    if not text.startswith("asset:") and not text.endswith(".json"):
        raise ConfigError(
            f"unknown model {text!r}",
            where="sam.model",
            expected=f"one of {', '.join(_SIZES)}, asset:sam_tiny or a JSON file",
        )
    path = json_path(text)
    return path.stem, read_json(path)


def _find_weights(pretrained: str | Path, name: str) -> Weights:
    """Find out what `pretrained` names; nothing is fetched yet."""
    text, own = str(pretrained), SAM_FILES.get(name)
    if text == "sa1b" and own is not None:
        return own
    weights = find_file(pretrained)
    if weights is None:
        raise CheckpointError(
            f"no such file of SAM {name} weights",
            where=text,
            expected=f"Meta's file, {own.describe()}" if own else "a .pth or safetensors file",
            fix="check the path" + (", or give 'sa1b' to have Meta's file fetched" if own else ""),
        )
    # An address of Meta's has a published digest.
    return next((known for known in SAM_FILES.values() if known.url == weights.url), weights)


def _fitting_size(state: Mapping[str, Tensor], name: str) -> str:
    """What to do with weights of another model."""
    table = state.get("image_encoder.pos_embed")
    width = None if table is None else table.shape[-1]
    found = next((size for size, (own, *_) in _SIZES.items() if own == width), None)
    if found is None or found == name:
        return f"give segment_anything's own weights of SAM {name}"
    file = SAM_FILES[name].describe() if name in SAM_FILES else "its own file"
    return f"these are weights of {found}: set model='{found}', or give those of {name} ({file})"


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu"
