"""Strict loading of a state dict, with reports that say what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ovseg.errors import CheckpointError

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
