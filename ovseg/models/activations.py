"""GELU, QuickGELU and the epsilon of layer norms: what weights were trained with matters."""

from __future__ import annotations

from collections.abc import Callable

from open_clip.transformer import QuickGELU
from timm.layers import activations as timm_activations
from torch import nn

from ovseg.errors import ConfigError
from ovseg.models.model_config import ModelConfig

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "quick_gelu": QuickGELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
}
_GELUS = (nn.GELU, QuickGELU, timm_activations.GELU, timm_activations.GELUTanh)


def pick_activation(
    act_layer: str, config: ModelConfig, trained_quick: bool | None
) -> tuple[str, bool]:
    """Activations of both towers.

    Args:
        act_layer: "model" or a key of `ACTIVATIONS`; an explicit choice is followed silently.
        config: the model.
        trained_quick: whether the weights were trained with QuickGELU; None where unknown.

    Returns:
        (activation of the image encoder, whether the text encoder has QuickGELU). The first is
        "model" where nothing is to be changed.

    Raises:
        ConfigError: unknown activation, or "model" when model and weights disagree.
    """
    if act_layer not in ("model", *ACTIVATIONS):
        raise ConfigError(
            f"unknown activation {act_layer!r}",
            where="act_layer",
            expected=", ".join(["model", *ACTIVATIONS]),
        )
    if trained_quick is None:
        return act_layer, config.quick_gelu or act_layer == "quick_gelu"
    if act_layer == "model" and trained_quick != config.quick_gelu:
        trained, built = ("QuickGELU", "GELU") if trained_quick else ("GELU", "QuickGELU")
        base = config.name.removesuffix("-quickgelu")
        other = base + "-quickgelu" if trained_quick else base
        raise ConfigError(
            f"the weights were trained with {trained}, the model {config.name} has {built}",
            where="act_layer",
            fix=f'act_layer="{"quick_gelu" if trained_quick else "gelu"}" or model {other}',
        )
    return act_layer, trained_quick


def set_activation(visual: nn.Module, name: str) -> None:
    """Replace every GELU of an image encoder; "model" leaves it as it is.

    Raises:
        ConfigError: the tower has no GELU.
    """
    if name == "model":
        return
    places = [
        (parent, key)
        for parent in visual.modules()
        for key, child in parent.named_children()
        if isinstance(child, _GELUS)
    ]
    if not places:
        raise ConfigError(
            f"this image encoder has no GELU to replace by {name}",
            where="act_layer",
            expected="model",
        )
    for parent, key in places:
        setattr(parent, key, ACTIVATIONS[name]())


def set_norm_eps(visual: nn.Module, eps: float) -> None:
    """Set the epsilon of every layer norm of an image encoder.

    Raises:
        ConfigError: not a positive number.
    """
    if not isinstance(eps, int | float) or not eps > 0:
        raise ConfigError(f"epsilon {eps!r}", where="ln_eps", expected="a positive number")
    for module in visual.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = eps
