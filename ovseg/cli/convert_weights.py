"""The verb `convert-weights`: any checkpoint that can be read safely becomes safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ovseg.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

HELP = "write the weights of a checkpoint as safetensors, without running code from it"
EXAMPLE = "ovseg convert-weights epoch_10.pth clip.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "source", metavar="SRC", help="a .pt, .pth, .bin, .safetensors or Detectron2 .pkl file"
    )
    parser.add_argument("target", metavar="OUT", help="the safetensors file to write")
    parser.add_argument("--half", action="store_true", help="store the numbers as fp16")
    parser.add_argument(
        "--open-clip",
        action="store_true",
        help="give open_clip's names to the public ones of EVA02-CLIP, DeCLIP and SigLIP",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")


def run(args: argparse.Namespace) -> int:
    """Read safely, write whole.

    Returns:
        0.

    Raises:
        CheckpointError: SRC cannot be read safely, OUT is there already, or a number is too large
            for fp16.
    """
    target = Path(args.target)
    if target.exists() and not args.overwrite:
        raise CheckpointError("the file is there already", where=target, fix="give --overwrite")
    from safetensors.torch import save

    from ovseg.utils.files import write_atomic
    from ovseg.weights.read import read_state_dict

    state = read_state_dict(args.source)
    if args.open_clip:
        from ovseg.weights.rename import to_open_clip

        state = to_open_clip(state, set())
    if args.half:
        state = {name: _half(tensor, name, args.source) for name, tensor in state.items()}
    # Clones, as tensors of one checkpoint may share memory, which safetensors does not store.
    data = save({name: tensor.clone().contiguous() for name, tensor in state.items()})
    write_atomic(target, data)
    print(f"{len(state)} tensors, {len(data) / 1e6:.1f} MB: {target}")
    return 0


def _half(tensor: Tensor, name: str, source: str) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if not half.isfinite().all():
        raise CheckpointError(
            f"{name} holds numbers up to {tensor.abs().max().item():g}",
            where=source,
            expected="at most 65504 for fp16",
            fix="convert without --half",
        )
    return half
