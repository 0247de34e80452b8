"""What the tools over mmengine's Runner share: the configuration, the processes, the errors."""

from __future__ import annotations

import argparse
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from inspect import signature
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from torch import distributed

from ovseg.errors import ConfigError, DatasetError, OvsegError
from ovseg.plugins import custom_imports, import_plugins
from ovseg.utils.devices import choose_device

__all__ = [
    "choose_runner_device",
    "plain_errors",
    "process_group",
    "read_config",
    "silence_libraries",
]

# What each launcher tells its processes, by the names that torch.distributed reads.
_ENV_OF_LAUNCHER: dict[str, dict[str, str]] = {
    "pytorch": {"RANK": "RANK", "WORLD_SIZE": "WORLD_SIZE", "LOCAL_RANK": "LOCAL_RANK"},
    "slurm": {
        "RANK": "SLURM_PROCID",
        "WORLD_SIZE": "SLURM_NTASKS",
        "LOCAL_RANK": "SLURM_LOCALID",
    },
    "mpi": {
        "RANK": "OMPI_COMM_WORLD_RANK",
        "WORLD_SIZE": "OMPI_COMM_WORLD_SIZE",
        "LOCAL_RANK": "OMPI_COMM_WORLD_LOCAL_RANK",
    },
}


def read_config(path: str | Path, options: Sequence[str] = ()) -> Config:
    """Read an mmseg configuration and change it as the command line says.

    Args:
        path: the `.py` file; reading it runs it.
        options: `key.key=value` texts, as mmengine's `DictAction` takes them.

    Raises:
        ConfigError: no such file, a file that cannot be read, a module of its `custom_imports` that
            cannot be imported, an option without `=`, or one whose
            first key is neither in the file nor known to the Runner.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError("no such configuration file", where=path, fix="check the path")
    try:
        config = Config.fromfile(str(path), import_custom_modules=False)
    except Exception as error:  # the file is code of the user's, which may fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"cannot be read ({reason})", where=path) from error
    import_plugins(custom_imports(config))
    changes = _parse_options(options)
    _check_keys(config, changes)
    try:
        config.merge_from_dict(changes)
    except (AssertionError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(str(error), where="--cfg-options") from error
    return config


def _parse_options(options: Sequence[str]) -> dict[str, object]:
    for option in options:
        if "=" not in option:
            raise ConfigError(
                f"{option!r} has no '='", where="--cfg-options", expected="key.key=value"
            )
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="*", action=DictAction, default={})
    return parser.parse_args(["--options", *options]).options if options else {}


def _check_keys(config: Config, changes: dict[str, object]) -> None:
    known = {*config.keys(), *signature(Runner.__init__).parameters}
    for key in changes:
        first = key.split(".")[0]
        if first not in known:
            close = get_close_matches(first, known, n=1)
            raise ConfigError(
                f"unknown key {first!r}",
                where="--cfg-options",
                fix=f"did you mean {close[0]!r}?" if close else None,
            )


def choose_runner_device(wish: str) -> str:
    """Resolve a wish as `ovseg.utils.devices.choose_device` and make the Runner use it.

    "cpu" where there are GPUs also needs `ovseg.cli.runner_options.hide_gpus`, earlier.

    Raises:
        ConfigError: no such device here.
    """
    device = choose_device(wish)
    if ":" in wish:  # else each process of a launcher takes its own
        torch.cuda.set_device(device)
    return device


@contextmanager
def process_group(config: Config, launcher: str, local_rank: int | None = None) -> Iterator[None]:
    """Let the Runner work in the processes that a launcher started, and leave the group after.

    With GPUs the Runner joins the group by itself. Without, mmengine would ask for a GPU all the
    same, so the group (gloo) is joined here, and the wrapper of the model is told of no device.

    Args:
        config: gets `launcher` and, without GPUs, `model_wrapper_cfg`.
        launcher: "none", "pytorch" (torchrun), "slurm" or "mpi".
        local_rank: what an older launcher passes as `--local_rank`.

    Raises:
        ConfigError: the launcher has not set what its processes need.
    """
    config.launcher = launcher
    if local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(local_rank))
    os.environ.setdefault("LOCAL_RANK", "0")
    if launcher != "none":
        _take_over(launcher)
        if not torch.cuda.is_available():
            if not distributed.is_initialized():
                distributed.init_process_group("gloo")
            config.setdefault(
                "model_wrapper_cfg",
                {
                    "type": "MMDistributedDataParallel",
                    "device_ids": None,
                    "broadcast_buffers": False,
                    "find_unused_parameters": config.get("find_unused_parameters", False),
                },
            )
    try:
        yield
    finally:
        if launcher != "none" and distributed.is_initialized():
            distributed.destroy_process_group()


def _take_over(launcher: str) -> None:
    """Set the variables of torch.distributed from those of the launcher."""
    for name, source_var in _ENV_OF_LAUNCHER[launcher].items():
        if source_var not in os.environ:
            raise ConfigError(
                f"{source_var} is not set, as {launcher} does for the processes that it starts",
                where="--launcher",
                fix="start with tools/dist_*.sh (torchrun), tools/slurm_*.sh (srun) or mpirun, "
                "or leave --launcher out for one process",
            )
        os.environ[name] = os.environ[source_var]
    os.environ.setdefault("MASTER_PORT", "29500")
    if "MASTER_ADDR" not in os.environ:
        raise ConfigError(
            "MASTER_ADDR is not set", where="--launcher", expected="the host of the first process"
        )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what mmengine and torch raise for a user's mistake into errors of ovseg.

    Raises:
        OvsegError: one that a data worker raised, without the worker's traceback.
        ConfigError: a type that no registry has, or arguments that a type does not take.
        DatasetError: a file that a data worker could not read.
    """
    try:
        yield
    except Exception as error:
        better = _translated(error)
        if better is None:
            raise
        raise better from error


def _translated(error: Exception) -> OvsegError | None:
    text = str(error.args[0]) if error.args else ""
    if re.match(r"Caught \w+ in DataLoader worker", text):
        message = re.split(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): ", text, flags=re.M)[-1].strip()
        if isinstance(error, OvsegError):
            return type(error)(message)
        return DatasetError(message) if isinstance(error, OSError) else None
    if isinstance(error, KeyError) and "registry" in text:
        return ConfigError(text.split(". ")[0], where="type", fix="check its spelling in CONFIG")
    if isinstance(error, TypeError) and re.search(r"argument", text):
        return ConfigError(text, where="CONFIG")
    return None


def silence_libraries() -> None:
    """Hide what mmengine and mmcv warn of each time and nobody can change."""
    for message in (
        ".*FileClient.*will be deprecated",
        ".*has been moved",
        ".*build_loss would be deprecated",
        ".*prefix is not set in metric",
        ".*default avg_non_ignore is False",
        "The draw is False",
    ):
        warnings.filterwarnings("ignore", message=f"(?is){message}")
