"""`ovseg train`: train what a configuration of mmseg describes."""

from __future__ import annotations

import argparse

from ovseg.cli.runner_options import add_runner_options, hide_gpus, tell_of_program

__all__ = ["EXAMPLE", "HELP", "PLUGINS", "add_arguments", "run"]

HELP: str = "train what an mmseg configuration describes, resumable at any moment"
EXAMPLE: str = "ovseg train configs/clip_dinoiser/clip_dinoiser_tiny_scenes.py --work-dir run"
PLUGINS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb; those of mmseg's tools/train.py mean the same."""
    add_runner_options(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="FILE",
        help="go on from FILE, or from the last whole checkpoint in the work folder (auto)",
    )
    parser.add_argument(
        "--amp",
        nargs="?",
        const="auto",
        choices=("auto", "bf16", "fp16"),
        help="mixed precision: bf16 where the device has it, else fp16",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="S",
        help="of data order, augmentations and initial weights (what CONFIG says, or 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Train, and say where the results are.

    Returns:
        0.

    Raises:
        OvsegError: see `ovseg.mm.training.run.train`.
    """
    tell_of_program(args)
    hide_gpus(args.device)
    from ovseg.mm.launch import silence_libraries
    from ovseg.mm.training.run import train
    from ovseg.plugins import import_plugins

    silence_libraries()
    import_plugins(args.plugin)
    folder = train(
        args.config,
        work_dir=args.work_dir,
        resume=args.resume,
        amp=args.amp,
        options=args.cfg_options,
        launcher=args.launcher,
        local_rank=args.local_rank,
        device=args.device,
        seed=args.seed,
    )
    print(f"trained: {folder}")
    return 0
