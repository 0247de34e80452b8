"""Builds the three tiny encoders of the DeCLIP goldens from the files of a golden folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import timm
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ovseg.models.clip import ClipEncoder, build_clip


def vit_encoder(folder: Path) -> ClipEncoder:
    """OpenAI-style tower."""
    return build_clip(folder / "vit_config.json", folder / "vit.safetensors")


def eva_encoder(folder: Path) -> ClipEncoder:
    """EVA02 tower; the weights carry the names of the public checkpoints."""
    options = json.loads((folder / "eva_timm_kwargs.json").read_text())
    options["ref_feat_shape"] = tuple(options["ref_feat_shape"])
    config = json.loads((folder / "eva_config.json").read_text())
    register(config["vision_cfg"]["timm_model_name"], Eva, options)
    return build_clip(config, folder / "eva.safetensors")


def siglip_encoder(folder: Path) -> ClipEncoder:
    """SigLIP image encoder alone; the weights carry Hugging Face's names."""
    given = json.loads((folder / "siglip_config.json").read_text())
    options = {
        "img_size": given["image_size"],
        "patch_size": given["patch_size"],
        "embed_dim": given["hidden_size"],
        "depth": given["num_hidden_layers"],
        "num_heads": given["num_attention_heads"],
        "mlp_ratio": given["intermediate_size"] / given["hidden_size"],
        "class_token": False,
    }
    register("siglip_tiny_golden", VisionTransformer, options)
    config = {
        "embed_dim": given["hidden_size"],
        "custom_text": True,
        "vision_cfg": {
            "image_size": given["image_size"],
            "timm_model_name": "siglip_tiny_golden",
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 8, "heads": 1, "layers": 1},
    }
    return build_clip(
        config,
        folder / "siglip_vision.safetensors",
        towers="vision",
        act_layer="gelu_tanh",
        ln_eps=given["layer_norm_eps"],
        normalization="half",
    )


def register(name: str, kind: Callable[..., nn.Module], options: Mapping[str, Any]) -> None:
    """Let timm build `kind` with these options under a name."""

    def build(*, num_classes: int, global_pool: str, **_: Any) -> nn.Module:
        return kind(**{**options, "num_classes": num_classes, "global_pool": global_pool})

    build.__name__ = name
    if not timm.is_model(name):
        timm.models.register_model(build)
