"""What an entry of the zoo says: a model and the weights it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ovseg.errors import CheckpointError
from ovseg.weights.download import Weights

__all__ = ["ModelEntry", "Weights", "segmentor", "slide_test_cfg", "with_sources"]


@dataclass(frozen=True)
class ModelEntry:
    """A named model: method, weights and the plain data its pipeline is built from."""

    name: str
    method: str
    summary: str
    weights: tuple[Weights, ...]
    spec: Mapping[str, Any]

    def fresh_spec(self) -> dict[str, Any]:
        """Return a copy of the spec that may be changed."""
        return deepcopy(dict(self.spec))

    def needs(self) -> str:
        """Say what has to be fetched before the model can run."""
        fetched = [w for w in self.weights if w.asset is None]
        return ", ".join(f"{w.name} ({w.size})" for w in fetched) or "nothing, it is bundled"

    def license(self) -> str:
        """Return the licenses of the weights."""
        return ", ".join(dict.fromkeys(w.license for w in self.weights))


def slide_test_cfg(short_side: int, crop: int, stride: int) -> dict[str, Any]:
    """The `test_cfg` of sliding windows: sides in pixels."""
    return {"mode": "slide", "short_side": short_side, "crop_size": crop, "stride": stride}


def segmentor(
    backbone: dict[str, Any],
    head: dict[str, Any],
    templates: str,
    test_cfg: dict[str, Any],
) -> dict[str, Any]:
    """The plain data of a model, as `ovseg.pipeline.build_pipeline` takes it."""
    return {
        "type": "OpenVocabSegmentor",
        "backbone": {"type": "ClipBackbone", **backbone},
        "decode_head": head,
        "templates": templates,
        "test_cfg": test_cfg,
    }


def with_sources(error: CheckpointError, weights: Sequence[Weights]) -> CheckpointError:
    """Add to an error about absent weights what they are and where they come from.

    Args:
        error: what is wrong.
        weights: those that are needed; what is here is left out.
    """
    sources = ", ".join(
        f"{w.name} ({w.size}, {w.license} license) from {w.source()}"
        for w in weights
        if w.path() is None
    )
    fix = f"{error.fix or 'fetch the file'}; a file elsewhere is given with --checkpoint FILE"
    return CheckpointError(error.what, where=error.where, expected=sources, fix=fix)
