"""Names inside files of mask-adapted CLIP (OVSeg), which tell what a file holds.

- a released whole model: CLIP under `clip_adapter.clip_model.`, the proposal network under
  `backbone.` and `sem_seg_head.`, constants.
- a CLIP alone, as training writes it: CLIP's own names, with the prompts as
  `visual.mask_embedding` where they were tuned.
- prompts alone: `visual.mask_embedding`.

The weights that the authors have released are for non-commercial use only (CC BY-NC 4.0).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ovseg.errors import CheckpointError

__all__ = [
    "LICENSE",
    "PROMPTS",
    "check_whole",
    "is_whole_model",
    "detect_contents",
    "lacks_prompts",
    "place",
    "split_clip_weights",
    "take_prompts",
    "warn_prompts_off",
]

LICENSE = "CC BY-NC 4.0 (non-commercial)"
"""License of the released weights."""

PROMPTS = "visual.mask_embedding"
"""Name of the prompts (depth, L or 1, D) in files of CLIP."""

_ADAPTER = "clip_adapter."
_CLIP = "clip_adapter.clip_model."
_CONSTANTS = ("clip_adapter.pixel_mean", "clip_adapter.pixel_std", "criterion.empty_weight")
_PROPOSALS = ("backbone.", "sem_seg_head.", "clip_adapter.non_object_embedding")


def is_whole_model(state: Mapping[str, Tensor]) -> bool:
    """Whether names are those of a released whole model."""
    return any(name.startswith(_ADAPTER) for name in state)


def split_clip_weights(
    state: Mapping[str, Tensor], where: str | Path = "checkpoint"
) -> dict[str, Tensor]:
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
    """Return the prompts (depth, L or 1, D) of a file, or None; as `split_clip_weights`."""
    if is_whole_model(state):
        state = _whole(state, where)
    return state.get(PROMPTS)


def detect_contents(state: Mapping[str, Any]) -> frozenset[str]:
    """Tell which parts of a model a file holds: "clip", "words" (CLIP's), "prompts", "proposals".

    Example:
        >>> sorted(detect_contents({"visual.mask_embedding": None, "visual.conv1.weight": None}))
        ['clip', 'prompts']
    """
    names = {name.removeprefix(_CLIP) for name in state}
    kinds = {
        "clip": "visual.conv1.weight" in names,
        "words": "token_embedding.weight" in names,
        "prompts": PROMPTS in names,
        "proposals": "no_object" in names or any(n.startswith("sem_seg_head.") for n in names),
    }
    return frozenset(kind for kind, there in kinds.items() if there)


def lacks_prompts(state: Mapping[str, Any]) -> bool:
    """Whether a file brings a CLIP and no prompts for it: a model's own do not go with that CLIP.

    Example:
        >>> lacks_prompts({"visual.conv1.weight": None}), lacks_prompts({"no_object": None})
        (True, False)
    """
    kinds = detect_contents(state)
    return "clip" in kinds and "prompts" not in kinds


def place(spec: dict[str, Any], state: Mapping[str, Any], path: str | Path) -> None:
    """Name a file in those parts of a model's plain data that it holds weights for, in place.

    Prompts belong to the tower that they were tuned on: a file with another tower switches those
    of the model off, unless it brings its own.

    Raises:
        CheckpointError: it holds nothing for such a model.
    """
    kinds, path = detect_contents(state), str(path)
    if not kinds - {"words"}:
        raise CheckpointError(
            "nothing for mask-adapted CLIP inside",
            where=path,
            expected="CLIP, mask prompts, a proposal network, or all of them",
        )
    head = spec["decode_head"] = dict(spec["decode_head"])
    learned = head["proposer"].get("type") == "MaskFormerProposer"
    if kinds == {"proposals"} and not learned:
        raise CheckpointError(
            "a proposal network, and the model's masks come from elsewhere",
            where=path,
            expected=f"weights for a model with {head['proposer'].get('type')}",
            fix="choose a model with MaskFormerProposer",
        )
    if kinds & {"clip", "prompts"}:
        if "prompts" not in kinds and head.get("prompts", True):
            warn_prompts_off(path)
        head["prompts"] = "prompts" in kinds
        head["pretrained"] = path if head["prompts"] else None
    if "clip" in kinds:
        backbone = {**spec["backbone"], "pretrained" if "words" in kinds else "tuned": path}
        if "words" in kinds:
            backbone.pop("tuned", None)
        spec["backbone"] = backbone
    if "proposals" in kinds and learned:
        head["proposer"] = {**head["proposer"], "pretrained": path}


def warn_prompts_off(where: str | Path) -> None:
    """Say that a file brings another CLIP, which the model's mask prompts do not belong to."""
    warnings.warn(
        f"{where} holds a CLIP without mask prompts: the model's own, which were tuned on another, "
        "are switched off",
        stacklevel=3,
    )


def _whole(state: Mapping[str, Tensor], where: str | Path) -> dict[str, Tensor]:
    """CLIP and prompts of a whole model, all other names accounted for."""
    check_whole(state, where)
    return {n.removeprefix(_CLIP): tensor for n, tensor in state.items() if n.startswith(_CLIP)}


def check_whole(state: Mapping[str, Tensor], where: str | Path) -> None:
    """Account for every name of a whole model, and tell the license of the released ones.

    Raises:
        CheckpointError: names that belong to no part.
    """
    known = (_CLIP, *_PROPOSALS, *_CONSTANTS)
    left_over = sorted(name for name in state if not name.startswith(known))
    if left_over:
        raise CheckpointError(
            f"names that belong to no part of the model: {', '.join(left_over[:5])}",
            where=where,
            expected=f"names that start with {', '.join(known)}",
        )
    warnings.warn(
        f"weights in the layout of OVSeg's released models, whose license is {LICENSE}",
        # One place for all parts of a file, so that it is said once.
        stacklevel=1,
    )
