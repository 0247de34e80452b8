"""`ovseg test`: measure a model on a data set, with the protocol beside the number."""

from __future__ import annotations

import argparse

from ovseg.cli.runner_options import add_runner_options, hide_gpus, tell_of_program

__all__ = ["EXAMPLE", "HELP", "PLUGINS", "add_arguments", "run"]

HELP: str = "measure a model on a data set: mIoU with its protocol, as mmseg configurations say"
EXAMPLE: str = "ovseg test configs/maskclip/maskclip_tiny_scenes.py --limit 20"
PLUGINS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb; those of mmseg's tools/test.py mean the same."""
    add_runner_options(parser)
    parser.add_argument(
        "checkpoint",
        nargs="?",
        metavar="CHECKPOINT",
        help="weights to use, right after CONFIG; none, or left out, takes those that CONFIG names",
    )
    parser.add_argument("--precision", default="auto", metavar="P", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--refine", metavar="R", help="sharpen the borders: none, pamr or sam")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out images without label maps; the result is then called partial",
    )
    parser.add_argument("--out", metavar="DIR", help="write the predicted label maps there")
    parser.add_argument("--show-dir", metavar="DIR", help="write images of the results there")
    parser.add_argument("--boundary", action="store_true", help="also give the boundary IoU")


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, and say where `result.json` is.

    Returns:
        0.

    Raises:
        OvsegError: see `ovseg.mm.testing.run.evaluate`.
    """
    tell_of_program(args)
    hide_gpus(args.device)
    from ovseg.evaluation.report import result_text
    from ovseg.mm.launch import silence_libraries
    from ovseg.mm.testing.run import evaluate
    from ovseg.plugins import import_plugins

    silence_libraries()
    import_plugins(args.plugin)
    done = evaluate(
        args.config,
        args.checkpoint,
        work_dir=args.work_dir,
        options=args.cfg_options,
        launcher=args.launcher,
        local_rank=args.local_rank,
        device=args.device,
        precision=args.precision,
        refine=args.refine,
        limit=args.limit,
        allow_missing=args.allow_missing,
        out=args.out,
        show_dir=args.show_dir,
        boundary=args.boundary,
    )
    if done is not None:
        path, result = done
        print(result_text(result))
        print(f"result: {path}")
    return 0
