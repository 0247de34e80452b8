"""Refiners by their short names: plain data, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ovseg.errors import ConfigError
from ovseg.zoo.entry import Weights
from ovseg.zoo.weights import SAM_B, SAM_H, SAM_L

__all__ = ["REFINERS", "refiner_spec", "refiner_weights"]

REFINERS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "pamr": {"type": "PamrRefiner"},
    "sam": {"type": "SamRefiner", "model": "vit_b", "pretrained": SAM_B.tag},
}
"""Plain data of the refiners."""

# Settings that did best on training scenes of the synthetic world.
_SAM_OF_DRAWN_WORLD = {
    "type": "SamRefiner",
    "model": "asset:sam_tiny.json",
    "pretrained": "asset:sam_tiny.safetensors",
    "minimal_area": 60,
    "sam_mask_coff": 4.0,
    "sam_iou_thresh": 0.3,
    "coarse_thresh": 0.2,
    "mask_prompt_norm": "channel",
    "side_multiple": 1,
}
_SAM_SIZES = {"vit_b": SAM_B, "vit_l": SAM_L, "vit_h": SAM_H}


def refiner_spec(name: str, model: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Return the plain data of a refiner by its short name, one of `REFINERS`.

    Where the model has this refiner already, its settings stay.

    A model whose CLIP comes with the package knows drawn scenes only, as does the SAM that comes
    with it: these two go together. All others get Meta's SAM ViT-B.

    Args:
        name: the short name.
        model: plain data of the model that is to be refined.

    Raises:
        ConfigError: no such refiner.
    """
    if name not in REFINERS:
        raise ConfigError(
            f"unknown refiner {name!r}", where="refine", expected=f"one of {', '.join(REFINERS)}"
        )
    model, wanted = model or {}, REFINERS[name]
    present: dict[str, Any] | None = model.get("refiner")
    if wanted and present and present.get("type") == wanted["type"]:
        return deepcopy(present)
    backbone = model.get("backbone") or {}
    if name == "sam" and str(backbone.get("model", "")).startswith("asset:"):
        return dict(_SAM_OF_DRAWN_WORLD)
    return deepcopy(wanted)


def refiner_weights(spec: Mapping[str, Any] | None) -> tuple[Weights, ...]:
    """Return the published weights that a refiner's plain data ask for."""
    spec = spec or {}
    if spec.get("pretrained") != SAM_B.tag or spec.get("model") not in _SAM_SIZES:
        return ()
    return (_SAM_SIZES[spec["model"]],)
