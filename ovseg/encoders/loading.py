"""Strict loading of a state dict, with reports that say what does not fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ovseg.encoders.positions import resize_positions
from ovseg.errors import CheckpointError, ConfigError

log = logging.getLogger(__name__)

TOWERS = ("both", "vision", "text")


def load_strict(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    where: str | Path,
    towers: str = "both",
    hint: Callable[[], str] | None = None,
) -> None:
    """Copy weights into a model; every name must match.

    Args:
        model: takes the weights, in its own number format.
        state: names of the model and tensors.
        where: named in errors.
        towers: which side the file must supply, "both", "vision" or "text".
        hint: says what to do about a mismatch.

    Raises:
        CheckpointError: names are missing, left over, or of another shape.
    """
    own = dict(model.state_dict())
    needed = {name for name in own if _on_side(name, towers)}
    missing = sorted(needed - state.keys())
    left_over = sorted(state.keys() - own.keys())
    other = [n for n in sorted(needed & state.keys()) if state[n].shape != own[n].shape]
    if missing or left_over or other:
        lines = [f"missing {name} {_shape(own[name])}" for name in missing]
        lines += [f"left over {name} {_shape(state[name])}" for name in left_over]
        lines = [
            f"{name} is {_shape(state[name])}, the model has {_shape(own[name])}" for name in other
        ] + lines
        counts = (
            f"{len(other)} of another shape, {len(missing)} missing, {len(left_over)} left over"
        )
        raise CheckpointError(
            f"weights do not fit the model ({counts}): {'; '.join(lines[:5])}",
            where=where,
            fix=hint() if hint else None,
        )
    taken = {name: state[name] for name in needed}
    with torch.no_grad():
        for name, tensor in taken.items():
            own[name].copy_(tensor)


def _on_side(name: str, towers: str) -> bool:
    if towers == "both" or name in ("logit_scale", "logit_bias"):
        return towers == "both"
    return name.startswith("visual.") == (towers == "vision")


def _shape(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "scalar"


def fit_positions(
    state: dict[str, Tensor],
    name: str,
    grid: tuple[int, int],
    prefix: int,
    rule: str,
    where: str | Path,
) -> None:
    """Resize the position table of a state dict, in place, when it has another grid.

    A table whose rows are not square in number is refused unless it already fits.

    Raises:
        CheckpointError: the grid of the table cannot be told.
    """
    table = state.get(name)
    if table is None or table.shape[-2] == grid[0] * grid[1] + prefix:
        return
    flat = table.reshape(-1, table.shape[-1])
    try:
        resized = resize_positions(flat, grid, rule, prefix=prefix)
    except ConfigError as error:
        raise CheckpointError(f"{name}: {error.what}", where=where, fix=error.fix) from error
    state[name] = resized.reshape(*table.shape[:-2], *resized.shape)
    log.warning(
        "%s: position table of %d rows resized to the model's grid %d x %d",
        where,
        len(flat),
        *grid,
    )


_FROM_TIMM = {
    (768, 12, 197): "EVA02-B-16",
    (1024, 24, 257): "EVA02-L-14",
    (1024, 24, 577): "EVA02-L-14-336",
    (1152, 27, 729): "ViT-SO400M-14-SigLIP-384",
}
"""Models of open_clip whose picture towers are timm's: by width, blocks and rows of positions."""


def suggest_model(state: Mapping[str, Tensor], names: Iterable[str]) -> str | None:
    """Name of an open_clip model whose picture tower has the shapes of a state dict.

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
