"""Names inside files of mask-adapted CLIP (OVSeg), which tell what a file holds.

- a released whole model: CLIP under `clip_adapter.clip_model.`, the proposal network under
  `backbone.` and `sem_seg_head.`, constants.
- a CLIP alone, as training writes it: CLIP's own names, with the prompts as
  `visual.mask_embedding` where they were tuned.
- prompts alone: `visual.mask_embedding`.

The weights that the authors have released are for non-commercial use only (CC BY-NC 4.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ovseg.errors import CheckpointError

__all__ = ["LICENCE", "PROMPTS", "is_whole_model", "kinds_of", "take_clip", "take_prompts"]

LICENCE = "CC BY-NC 4.0 (non-commercial)"
"""Licence of the released weights."""

PROMPTS = "visual.mask_embedding"
"""Name of the prompts (depth, L or 1, D) in files of CLIP."""

_ADAPTER = "clip_adapter."
_CLIP = "clip_adapter.clip_model."
_CONSTANTS = ("clip_adapter.pixel_mean", "clip_adapter.pixel_std", "criterion.empty_weight")
_PROPOSALS = ("backbone.", "sem_seg_head.", "clip_adapter.non_object_embedding")


def is_whole_model(state: Mapping[str, Tensor]) -> bool:
    """Whether names are those of a released whole model."""
    return any(name.startswith(_ADAPTER) for name in state)


def take_clip(state: Mapping[str, Tensor], where: str | Path = "checkpoint") -> dict[str, Tensor]:
    """Return the weights of CLIP, without the prompts; other files stay as they are.

    Args:
        state: names and tensors of any file.
        where: named in errors.

    Raises:
        CheckpointError: a whole model with names that belong to no part of it.
    """
    if is_whole_model(state):
        state = _whole(state, where)
    return {name: tensor for name, tensor in state.items() if name != PROMPTS}


def take_prompts(state: Mapping[str, Tensor], where: str | Path = "checkpoint") -> Tensor | None:
    """Return the prompts (depth, L or 1, D) of a file, or None; as `take_clip`."""
    if is_whole_model(state):
        state = _whole(state, where)
    return state.get(PROMPTS)


def kinds_of(state: Mapping[str, Tensor]) -> frozenset[str]:
    """Tell which parts of a model a file holds: "clip", "prompts", "proposals".

    Example:
        >>> kinds_of({"visual.mask_embedding": None, "logit_scale": None})
        frozenset({'prompts'})
    """
    prompts = (PROMPTS, _CLIP + PROMPTS)
    clip = ("visual.conv1.weight", _CLIP + "visual.conv1.weight")
    kinds = {
        "clip": any(name in state for name in clip),
        "prompts": any(name in state for name in prompts),
        "proposals": any(name.startswith("sem_seg_head.") for name in state),
    }
    return frozenset(kind for kind, there in kinds.items() if there)


def _whole(state: Mapping[str, Tensor], where: str | Path) -> dict[str, Tensor]:
    """CLIP and prompts of a whole model, all other names accounted for."""
    known = (_CLIP, *_PROPOSALS, *_CONSTANTS)
    left_over = sorted(name for name in state if not name.startswith(known))
    if left_over:
        raise CheckpointError(
            f"names that belong to no part of the model: {', '.join(left_over[:5])}",
            where=where,
            expected=f"names that start with {', '.join(known)}",
        )
    return {
        name.removeprefix(_CLIP): tensor for name, tensor in state.items() if name.startswith(_CLIP)
    }
