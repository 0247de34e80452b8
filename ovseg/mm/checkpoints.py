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

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import (
    _get_mmengine_home,
    _process_mmcls_checkpoint,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)
from torch import Tensor, nn

from ovseg.errors import CheckpointError
from ovseg.heads.mask_adapted import MaskAdaptedClip
from ovseg.mm.safe_load import read_runner_checkpoint
from ovseg.models.clip import ClipEncoder
from ovseg.models.position_embedding import fit_positions
from ovseg.weights.download import is_offline
from ovseg.weights.read import hash_state
from ovseg.weights.rename import to_open_clip, unwrap
from ovseg.weights.rename_ovseg import (
    PROMPTS,
    is_whole_model,
    lacks_prompts,
    split_clip_weights,
    take_prompts,
)

__all__ = [
    "keep_hash_true",
    "refuse_left_over",
    "refuse_other_weights",
    "rename_clip",
    "rename_head",
    "require_whole",
    "split_head_weights",
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
        CheckpointError: no such file, damaged, or a pickle of more than plain data.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise CheckpointError(
            "no such checkpoint",
            where=path,
            fix="give a file, or the word none when the config names all weights",
        )
    content = read_runner_checkpoint(path, map_location)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        return content
    return {"state_dict": unwrap(content, path), "meta": dict(_META)}


@CheckpointLoader.register_scheme(prefixes=("http://", "https://"), force=True)
def load_from_http(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Download a file once, to torch's own cache, and read it as a local one.

    mmengine's own loader would hand it to an unpickler that runs code.

    Raises:
        CheckpointError: it cannot be downloaded or read.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(filename).path).name
    if not path.is_file() and is_main_process():
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_offline():
            raise CheckpointError(
                "weights are not here and OVSEG_OFFLINE forbids to fetch them",
                where=filename,
                fix=f"download them by other means and put them at {path}",
            )
        try:
            torch.hub.download_url_to_file(filename, str(path))
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"cannot be downloaded: {error}",
                where=filename,
                fix=f"download it by other means and put it at {path}",
            ) from error
    barrier()
    return load_from_local(str(path), map_location)


@CheckpointLoader.register_scheme(
    prefixes=("modelzoo://", "torchvision://", "open-mmlab://", "openmmlab://", "mmcls://"),
    force=True,
)
def load_by_name(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load one of the backbones that mmengine knows by a name, by the address in its tables.

    Raises:
        CheckpointError: an unknown name, or a file that cannot be had or read.
    """
    scheme, name = filename.split("://", 1)
    if scheme in ("modelzoo", "torchvision"):
        addresses = get_torchvision_models()
    elif scheme == "mmcls":
        addresses = get_mmcls_models()
    else:
        addresses = get_external_models()
        name = get_deprecated_model_names().get(name, name)
    if name not in addresses:
        raise CheckpointError("mmengine knows no weights of that name", where=filename)
    if addresses[name].startswith(("http://", "https://")):
        content = load_from_http(addresses[name], map_location)
    else:
        content = load_from_local(str(Path(_get_mmengine_home()) / addresses[name]), map_location)
    return _process_mmcls_checkpoint(content) if scheme == "mmcls" else content


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


def split_head_weights(state: dict[str, Tensor], core: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Take out of a file of mask-adapted CLIP what belongs to the head; CLIP's own stays, in place.

    Args:
        state: names and tensors; anything but such a file stays as it is.
        core: the head of `ovseg.heads` that takes them; what the file does not give, it keeps.
        prefix: what stands before the head's names, for example "decode_head.core.".

    Returns:
        The head's weights under their full names; none where the file is no such one.

    Raises:
        CheckpointError: a CLIP without prompts, for a model that has some.
    """
    if not isinstance(core, MaskAdaptedClip):
        return {}
    whole = is_whole_model(state)
    if core.prompts and lacks_prompts(state):
        raise CheckpointError(
            "a CLIP without mask prompts, and those of the model were tuned on another",
            where="checkpoint",
            expected="a CLIP with its prompts, or a model without",
            fix="build the model with decode_head.prompts=False (ovseg test does so by itself)",
        )
    if not (whole or PROMPTS in state):
        return {}
    own = core.source.released(state) if whole else {}
    own = {f"source.{name}": tensor for name, tensor in own.items()}
    prompts = take_prompts(state)
    if prompts is not None:
        own[PROMPTS.removeprefix("visual.")] = prompts
    clip = split_clip_weights(state)
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

    def compare(module: ClipEncoder, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
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
