"""Where weight files come from: the package's assets, a path, a URL or a hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovseg.errors import CheckpointError

ASSETS = Path(__file__).resolve().parent.parent / "assets"


def asset_path(name: str) -> Path:
    """File of the package's assets.

    Args:
        name: file name, with or without the prefix "asset:".

    Raises:
        CheckpointError: no such asset, or a name that leaves the folder.
    """
    name = name.removeprefix("asset:")
    path = ASSETS / name
    if Path(name).name != name or not path.is_file():
        known = ", ".join(sorted(p.name for p in ASSETS.glob("*.*") if p.suffix != ".py"))
        raise CheckpointError(f"no asset {name!r}", where=ASSETS, expected=f"one of {known}")
    return path


@dataclass(frozen=True)
class WeightSource:
    """A weights file on this machine, and what its origin states.

    Attributes:
        path: the file.
        quick_gelu: whether it was trained with QuickGELU; None where unknown.
        preprocess_cfg: mean and std that it was trained with, where known.
    """

    path: Path
    quick_gelu: bool | None = None
    preprocess_cfg: dict[str, Any] = field(default_factory=dict)


def find_weights(pretrained: str | Path, model: str) -> WeightSource:
    """Resolve what `pretrained` names to a file."""
    text = str(pretrained)
    if text.startswith("asset:"):
        return WeightSource(asset_path(text if Path(text).suffix else text + ".safetensors"))
    return WeightSource(Path(pretrained))
