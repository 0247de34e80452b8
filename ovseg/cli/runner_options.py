"""The options that `ovseg test` and `ovseg train` share, those of mmseg's own tools."""

from __future__ import annotations

import argparse
import os
import sys

from ovseg.zoo.config_files import foreign_program

__all__ = ["add_runner_options", "hide_gpus", "tell_of_program"]

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")


def add_runner_options(parser: argparse.ArgumentParser) -> None:
    """Declare the configuration, where results go, and how the processes were started."""
    parser.add_argument(
        "config", metavar="CONFIG", help="an mmseg configuration, .py: a program, which is run"
    )
    parser.add_argument(
        "--trust-python-config",
        action="store_true",
        help="CONFIG lies outside the package and is from people you trust; say nothing of it",
    )
    parser.add_argument(
        "--work-dir", metavar="DIR", help="for logs and results (work_dirs/<name of CONFIG>)"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change settings of CONFIG: model.test_cfg.stride=112 'list=[1,2]' 'nested=\"(a,b)\"'",
    )
    parser.add_argument(
        "--launcher", choices=LAUNCHERS, default="none", help="what started the processes"
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--device", metavar="D", default="auto", help="auto, cpu, cuda, cuda:1 or mps"
    )


def hide_gpus(device: str) -> None:
    """Keep the GPUs from mmengine when `device` is "cpu"; call it before torch is imported.

    The Runner takes the best device there is; this variable is its own way to be told otherwise.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def tell_of_program(args: argparse.Namespace) -> None:
    """Say on standard error that a configuration from outside the package is a program."""
    note = foreign_program(args.config)
    if note is not None and not args.trust_python_config:
        print(f"ovseg: note: {note} (--trust-python-config says that you do)", file=sys.stderr)
