"""What may stand for CHECKPOINT in mmseg's tools, and how strictly it is taken.

- `none`: nothing is loaded; the config has named all weights already. For tools that ask for a
  checkpoint, such as mmseg's `tools/test.py`.
- a checkpoint of mmengine's Runner.
- weights of CLIP: safetensors or OpenAI's TorchScript archive. They replace the backbone's.
- weights of a head alone, as CLIP-DINOiser is published. They replace the decode head's.
- mask-adapted CLIP as it is published: CLIP, prompts and proposal network, or some of them.

mmengine itself only logs what does not fit. The parts of ovseg refuse it: a checkpoint gives a part
(backbone, decode head) wholly or not at all, and has nothing left over.
"""

from __future__ import annotations

import pickle  # noqa: S403 - only its error class is used
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ovseg.encoders.clip import ClipEncoder
from ovseg.encoders.keys import to_open_clip, unwrap
from ovseg.encoders.loading import fit_positions
from ovseg.encoders.mask_adapted_keys import (
    PROMPTS,
    is_whole_model,
    kinds_of,
    take_clip,
    take_prompts,
    warn_prompts_off,
)
from ovseg.encoders.weights import hash_state, is_torchscript, read_state_dict
from ovseg.errors import CheckpointError
from ovseg.heads import MaskAdaptedClip

__all__ = [
    "keep_hash_true",
    "refuse_left_over",
    "refuse_other_weights",
    "rename_clip",
    "rename_head",
    "require_whole",
    "take_head",
]

# "dataset_meta" must be there: without it mmseg guesses class names by their number.
_META: Mapping[str, Any] = {"dataset_meta": {}}


@CheckpointLoader.register_scheme(prefixes="none$", force=True)
def load_from_nothing(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Return a checkpoint without weights: those that the config names stay."""
    return {"state_dict": {}, "meta": dict(_META)}


@CheckpointLoader.register_scheme(prefixes="", force=True)
def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load a local file safely, in place of mmengine's own loader for local files.

    Raises:
        CheckpointError: no such file, unreadable, or a pickle that would run code.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise CheckpointError(
            "no such checkpoint",
            where=path,
            fix="give a file, or the word none when the config names all weights",
        )
    if path.suffix == ".safetensors" or is_torchscript(path):
        return {"state_dict": read_state_dict(path), "meta": dict(_META)}
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        # The reader of plain weights finds the right words for what is wrong with the file.
        read_state_dict(path)
        raise CheckpointError(f"not readable as a checkpoint: {error}", where=path) from error
    if "state_dict" in content:
        return content
    return {"state_dict": unwrap(content, path), "meta": dict(_META)}


def rename_head(state: dict[str, Tensor], core: nn.Module, prefix: str) -> None:
    """Give the weights of a head's own file the names of a decode head, in place.

    Args:
        state: names and tensors; anything but such a file stays as it is.
        core: the head of `ovseg.heads` that takes them.
        prefix: what stands before the head's names, for example "decode_head.core.".
    """
    if state and state.keys() <= core.state_dict().keys():
        renamed = {prefix + name: tensor for name, tensor in state.items()}
        state.clear()
        state.update(renamed)


def take_head(state: dict[str, Tensor], core: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Take out of a file of mask-adapted CLIP what belongs to the head; CLIP's own stays, in place.

    Args:
        state: names and tensors; anything but such a file stays as it is.
        core: the head of `ovseg.heads` that takes them; what the file does not give, it keeps.
        prefix: what stands before the head's names, for example "decode_head.core.".

    Returns:
        The head's weights under their full names; none where the file is no such one.
    """
    if not isinstance(core, MaskAdaptedClip):
        return {}
    whole, kinds = is_whole_model(state), kinds_of(state)
    if core.prompts and "clip" in kinds and "prompts" not in kinds:
        warn_prompts_off("the checkpoint")
        core.prompts, core.mask_embedding = False, None
    if not (whole or PROMPTS in state):
        return {}
    own = core.source.released(state) if whole else {}
    own = {f"source.{name}": tensor for name, tensor in own.items()}
    prompts = take_prompts(state)
    if prompts is not None:
        own[PROMPTS.removeprefix("visual.")] = prompts
    clip = take_clip(state)
    state.clear()
    # Prompts alone come with the scale that they were trained at, which nobody reads.
    state.update(clip if clip.keys() != {"logit_scale"} else {})
    return {prefix + name: tensor for name, tensor in {**core.state_dict(), **own}.items()}


def rename_clip(state: dict[str, Tensor], clip: ClipEncoder, prefix: str) -> None:
    """Give the weights of a plain CLIP file the names of a backbone, in place.

    Args:
        state: names and tensors; anything but a CLIP file stays as it is.
        clip: the encoder that takes them.
        prefix: what stands before the encoder's names, for example "backbone.clip.".
    """
    if "logit_scale" not in state and "visual.conv1.weight" not in state:
        return
    renamed = to_open_clip(dict(state), set(clip.model.state_dict()))
    tower = clip.tower
    fit_positions(
        renamed,
        tower.position_key,
        tower.native_grid,
        tower.position_prefix,
        tower.position_rule,
        "checkpoint",
    )
    state.clear()
    state.update({f"{prefix}model.{name}": tensor for name, tensor in renamed.items()})


def require_whole(part: nn.Module) -> None:
    """Let a module take all of its weights from a checkpoint or none, and no others.

    None given is no mistake, so the names then do not count as missing.
    """
    prefixes: list[str] = []

    def check(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
        given = {
            name.removeprefix(prefix): tensor
            for name, tensor in state.items()
            if name.startswith(prefix)
        }
        prefixes[:] = [prefix]
        if given:
            refuse_other_weights(module.state_dict(), given, prefix)

    def settle(_: nn.Module, keys: Any) -> None:
        homes = tuple(prefixes)
        keys.missing_keys[:] = [name for name in keys.missing_keys if not name.startswith(homes)]

    part.register_load_state_dict_pre_hook(check)
    part.register_load_state_dict_post_hook(settle)


def refuse_other_weights(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], prefix: str = ""
) -> None:
    """Refuse weights that are not exactly those of a module, by names and shapes.

    Raises:
        CheckpointError: it shows the first five names of each kind.
    """
    _refuse(
        {
            "missing": own.keys() - given.keys(),
            "left over": given.keys() - own.keys(),
            "of another shape": {
                name for name in own.keys() & given.keys() if own[name].shape != given[name].shape
            },
        },
        prefix,
    )


def refuse_left_over(state: Mapping[str, Tensor], parts: Iterable[str], prefix: str) -> None:
    """Refuse names that belong to none of the parts of a model.

    Raises:
        CheckpointError: it shows the first five.
    """
    homes = tuple(f"{prefix}{part}." for part in parts)
    _refuse({"left over": {name for name in state if not name.startswith(homes)}}, "")


def keep_hash_true(clip: ClipEncoder) -> None:
    """Let an encoder's `weights_hash` follow its weights, because text banks are cached by it."""

    def compare(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
        own = module.model.state_dict()
        given = {name: state.get(f"{prefix}model.{name}") for name in own}
        if any(_differs(own[name], tensor) for name, tensor in given.items()):
            module.weights_hash = hash_state(
                {name: own[name] if new is None else new for name, new in given.items()}
            )

    clip.register_load_state_dict_pre_hook(compare)


def _differs(own: Tensor, given: Tensor | None) -> bool:
    return given is not None and not torch.equal(own, given.to(own.device, own.dtype))


def _refuse(problems: Mapping[str, set[str]], prefix: str) -> None:
    lines = [
        f"{len(names)} {problem}: {', '.join(sorted(names)[:5])}"
        for problem, names in problems.items()
        if names
    ]
    if lines:
        raise CheckpointError(
            "weights do not fit the model; " + "; ".join(lines),
            where=f"checkpoint, {prefix.rstrip('.')}" if prefix else "checkpoint",
            fix="load it with the config that it was trained with",
        )
