"""Weights of CLIP from a file into a model of open_clip: names, positions, strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ovseg.errors import CheckpointError
from ovseg.models.encoder_for import tower_for
from ovseg.models.position_embedding import fit_positions
from ovseg.weights.load import load_strict
from ovseg.weights.read import read_state_dict
from ovseg.weights.rename import to_open_clip

__all__ = ["load_clip_file", "load_image_encoder", "suggest_model"]


def load_clip_file(
    clip: nn.Module,
    path: Path,
    name: str,
    position_rule: str = "size",
    towers: str = "both",
    check_finite: bool = True,
) -> None:
    """Copy a file's weights into a model; every name must match.

    Args:
        clip: the model of open_clip.
        path: the file, with the names of open_clip or of the makers that `to_open_clip` knows.
        name: of the model, for errors.
        position_rule: how a position table of another grid is resized; see `resize_positions`.
        towers: what the file must hold, "both", "vision" or "text".
        check_finite: refuse NaN and infinite values.

    Raises:
        CheckpointError: the file cannot be read, or names or shapes do not fit.
    """
    _load(clip, _read_renamed(clip, path, check_finite), path, name, position_rule, towers)


def load_image_encoder(
    clip: nn.Module,
    path: Path,
    name: str,
    position_rule: str = "size",
    check_finite: bool = True,
) -> None:
    """Copy an image encoder over that of a model, from a file that holds nothing else.

    Arguments are those of `load_clip_file`.

    Raises:
        CheckpointError: as there, or the file holds more.
    """
    state = _read_renamed(clip, path, check_finite)
    beside = sorted(key for key in state if not key.startswith("visual."))
    if beside:
        raise CheckpointError(
            f"{len(beside)} tensors beside the image encoder: {', '.join(beside[:3])}",
            where=path,
            expected="names under visual. only",
            fix="give a whole model as backbone.pretrained instead of backbone.tuned",
        )
    _load(clip, state, path, name, position_rule, "vision")


def _read_renamed(clip: nn.Module, path: Path, check_finite: bool) -> dict[str, Tensor]:
    """Weights of a file by the model's names."""
    state = read_state_dict(path, check_finite=check_finite)
    return to_open_clip(state, set(clip.state_dict()))


def _load(
    clip: Any, state: dict[str, Tensor], path: Path, name: str, rule: str, towers: str
) -> None:
    tower = tower_for(clip.visual, rule)
    fit_positions(state, tower.position_key, tower.native_grid, tower.position_prefix, rule, path)
    load_strict(clip, state, where=path, towers=towers, hint=lambda: _hint(state, name))


def _hint(state: Mapping[str, Tensor], name: str) -> str:
    from open_clip import list_models

    found = suggest_model(state, list_models())
    if found is None or found == name:
        found = "that these weights were trained for"
    return f"give the model {found} instead of {name}"


_FROM_TIMM = {
    (768, 12, 197): "EVA02-B-16",
    (1024, 24, 257): "EVA02-L-14",
    (1024, 24, 577): "EVA02-L-14-336",
    (1152, 27, 729): "ViT-SO400M-14-SigLIP-384",
}
"""Models of open_clip whose image encoders are timm's: by width, blocks and rows of positions."""


def suggest_model(state: Mapping[str, Tensor], names: Iterable[str]) -> str | None:
    """Name of an open_clip model whose image encoder has the shapes of a state dict.

    Args:
        state: names and tensors, with open_clip's names: a plain CLIP vision transformer, EVA02 or
            SigLIP.
        names: names of plain models to look through.
    """
    if "visual.trunk.pos_embed" in state:
        rows, width = state["visual.trunk.pos_embed"].shape[-2:]
        return _FROM_TIMM.get((width, _blocks(state, "visual.trunk.blocks."), rows))
    from open_clip import get_model_config

    try:
        conv, proj = state["visual.conv1.weight"], state["visual.proj"]
    except KeyError:
        return None
    blocks = _blocks(state, "visual.transformer.resblocks.")
    wanted = (blocks, conv.shape[0], conv.shape[-1], proj.shape[1])
    fitting = []
    for name in names:
        cfg = get_model_config(name)
        vision = cfg["vision_cfg"]
        found = (vision.get("layers", 12), vision.get("width", 768), vision.get("patch_size", 16))
        plain = "timm_model_name" not in vision and "multimodal_cfg" not in cfg
        if plain and (*found, cfg["embed_dim"]) == wanted:
            fitting.append(name)
    # Variants of a model have longer names than the model itself.
    return min(fitting, key=len, default=None)


def _blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})
