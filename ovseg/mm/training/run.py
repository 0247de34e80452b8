"""`ovseg train`: a configuration of mmseg, made safe, through mmengine's Runner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import RUNNERS

from ovseg.errors import ConfigError
from ovseg.mm.launch import choose_runner_device, plain_errors, process_group, read_config
from ovseg.mm.training.amp import use_amp
from ovseg.mm.training.resume import last_whole, require_resumable

__all__ = ["make_safe", "train"]

_LOOPS = {"IterBasedTrainLoop": "ResumableIterLoop", "EpochBasedTrainLoop": "ResumableEpochLoop"}
_HOOKS = ("TeachersHook", "FiniteLossHook", "SkippedImagesHook", "TrainingLogHook")
_NEEDED = ("model", "train_dataloader", "train_cfg", "optim_wrapper")


def train(
    path: str | Path,
    *,
    work_dir: str | Path | None = None,
    resume: str | Path | None = None,
    amp: str | None = None,
    options: Sequence[str] = (),
    launcher: str = "none",
    local_rank: int | None = None,
    device: str = "auto",
    seed: int | None = None,
) -> Path:
    """Train as a configuration says.

    Args:
        path: an mmseg configuration.
        work_dir: for logs and checkpoints; by default the config's, or `work_dirs/NAME`.
        resume: None starts anew; "auto" goes on from the last whole checkpoint of the work folder,
            where there is one; a path goes on from that file.
        amp: mixed precision, one of `ovseg.mm.training.amp.AMP_TYPES`; None is the config's.
        options: changes of the config, as `key.key=value`.
        launcher: what started the processes: "none", "pytorch", "slurm" or "mpi".
        local_rank: what an older launcher passes.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        seed: of data order, augmentations and initial weights; by default the config's, or 0.

    Returns:
        The work folder.

    Raises:
        ConfigError: a wrong setting, or a config without a training part.
        CheckpointError: a checkpoint that cannot be used.
        DatasetError: images or labels that cannot be used.
        RuntimeLimitError: a loss that is not finite, or a full disk.
    """
    device = choose_runner_device(device)
    config = read_config(path, options)
    make_safe(config)
    if work_dir is not None or config.get("work_dir") is None:
        config.work_dir = str(work_dir or Path("work_dirs") / Path(path).stem)
    if seed is not None:
        config.randomness.seed = seed
    if amp is not None:
        use_amp(config.optim_wrapper, amp, device)
    notes = _choose_start(config, resume)
    with process_group(config, launcher, local_rank), plain_errors():
        runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
        for note in notes:
            runner.logger.warning(note)
        runner.train()
    return Path(config.work_dir)


def make_safe(config: Config) -> None:
    """Let a training configuration of mmseg resume exactly, save safely and stop honestly.

    mmengine's loops and checkpoint hook give way to those of `ovseg.mm.training`, the hooks of
    that room are added, and where no seed is set it is 0.

    Raises:
        ConfigError: the configuration has no training part.
    """
    missing = [key for key in _NEEDED if not config.get(key)]
    if missing:
        raise ConfigError(
            f"nothing to train: it has no {', '.join(missing)}",
            where=config.filename,
            fix="choose a configuration with a training part, such as "
            "configs/clip_dinoiser/clip_dinoiser_tiny_scenes.py",
        )
    by_epoch = _make_loop_safe(config.train_cfg)
    hooks = config.setdefault("default_hooks", {})
    checkpoint = hooks.setdefault("checkpoint", {"by_epoch": by_epoch})
    if checkpoint is not None and _type_name(checkpoint.get("type", "CheckpointHook")) in (
        "CheckpointHook",
        "SafeCheckpointHook",
    ):
        checkpoint["type"] = "SafeCheckpointHook"
        checkpoint.setdefault("by_epoch", by_epoch)
        checkpoint.setdefault("interval", 1 if by_epoch else 1000)
    present = {_type_name(hook.get("type")) for hook in config.get("custom_hooks") or ()}
    added = [{"type": name} for name in _HOOKS if name not in present]
    config.custom_hooks = [*(config.get("custom_hooks") or ()), *added]
    config.randomness = {"seed": 0, **(config.get("randomness") or {})}


def _make_loop_safe(loop: dict[str, Any]) -> bool:
    """Choose the resumable loop; tell whether it counts in epochs."""
    if "type" not in loop:
        loop["type"] = "EpochBasedTrainLoop" if loop.pop("by_epoch", True) else "IterBasedTrainLoop"
    name = _type_name(loop["type"])
    loop["type"] = _LOOPS.get(name, loop["type"])
    return "Epoch" in name


def _type_name(kind: Any) -> str:
    """Name of a type that a config gives as text, with or without a scope, or as a class."""
    return getattr(kind, "__name__", str(kind)).rsplit(".", 1)[-1]


def _choose_start(config: Config, resume: str | Path | None) -> list[str]:
    """Set where the training starts; return what the user should know of it."""
    config.resume = False
    if resume is None:
        return []
    if str(resume) != "auto":
        require_resumable(Path(resume))
        config.resume, config.load_from = True, str(resume)
        return []
    path, notes = last_whole(Path(config.work_dir))
    if path is None:
        return [*notes, f"no whole checkpoint in {config.work_dir}: starting at the beginning"]
    config.resume, config.load_from = True, str(path)
    if notes:
        notes.append(f"falling back to {path.name}, the last whole checkpoint")
    return notes
