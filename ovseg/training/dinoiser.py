"""What CLIP-DINOiser learns from: targets, losses and the optimizer's numbers (its section 3.3).

Two convolutions over CLIP's inner features learn which patches DINO takes for alike, and which
patches FOUND takes for foreground. No labels are needed. All functions are pure; the towers that
make their inputs are frozen.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional

from ovseg.heads.affinity import affinity

__all__ = [
    "EPOCHS",
    "GAMMA",
    "LEARNING_RATES",
    "MILESTONE",
    "WEIGHT_DECAY",
    "affinity_prediction",
    "affinity_target",
    "dinoiser_losses",
    "foreground_target",
    "milestone_factor",
    "dinoiser_parameter_groups",
]

GAMMA = 0.2
"""Patches whose DINO features have at least this cosine are alike."""

LEARNING_RATES = {"obj_proj": 5e-5, "bkg_decoder": 1e-2}
"""Rates of AdamW for the affinity convolution and the background convolution."""

WEIGHT_DECAY = 0.01
MILESTONE = 5000
EPOCHS = 100
"""Passes over 1000 images, 16 at a time: 6300 steps."""


def affinity_target(features: Tensor, gamma: float = GAMMA) -> Tensor:
    """Which patches are alike to DINO.

    Args:
        features: (B, C, h, w) of DINO, any length.
        gamma: least cosine of patches that are alike.

    Returns:
        (B, n, n) float32 of 0 and 1.
    """
    return (affinity(features) >= gamma).float()


def foreground_target(foreground: Tensor) -> Tensor:
    """Which patches are foreground to FOUND.

    Args:
        foreground: (B, 1, h, w) probabilities, as `FoundEncoder.foreground` gives them.

    Returns:
        (B, 1, h * w) float32, 1 for foreground.
    """
    return (foreground > 0.5).flatten(2).float()


def affinity_prediction(projected: Tensor) -> Tensor:
    """Affinity that the losses see: cosines of the affinity convolution's output, not below 0.

    Args:
        projected: (B, C, h, w) output of the convolution.

    Returns:
        (B, n, n); no gradient where the cosine is below 0.
    """
    return affinity(projected).clamp_min(0)


def dinoiser_losses(
    prediction: Tensor, background: Tensor, alike: Tensor, foreground: Tensor | None
) -> dict[str, Tensor]:
    """Both losses, to be summed.

    The affinity goes into the cross entropy as if it were a logit, as in the published code.

    Args:
        prediction: (B, n, n) of `affinity_prediction`.
        background: (B, 1, h, w) output of the background convolution, positive for foreground.
        alike: (B, n, n) of `affinity_target`.
        foreground: (B, 1, n) of `foreground_target`; None where nobody tells the foreground.

    Returns:
        Scalars `loss_corr` and, with a foreground, `loss_bkg`, means over all elements.
    """
    entropy = functional.binary_cross_entropy_with_logits
    losses = {"loss_corr": entropy(prediction, alike)}
    if foreground is not None:
        losses["loss_bkg"] = entropy(background.flatten(2), foreground)
    return losses


def dinoiser_parameter_groups(head: nn.Module) -> list[dict[str, Iterable[nn.Parameter] | float]]:
    """Groups for `torch.optim.AdamW`, whose betas and epsilon stay at their defaults.

    Args:
        head: has the convolutions `obj_proj` and `bkg_decoder`.

    Returns:
        One group a convolution, with `params`, `lr` and `weight_decay`.
    """
    return [
        {
            "params": list(getattr(head, name).parameters()),
            "lr": rate,
            "weight_decay": WEIGHT_DECAY,
        }
        for name, rate in LEARNING_RATES.items()
    ]


def milestone_factor(step: int, milestone: int = MILESTONE) -> float:
    """Factor of the learning rates at a step, counted from 0; for `LambdaLR`.

    Example:
        >>> milestone_factor(4999), milestone_factor(5000)
        (1.0, 0.1)
    """
    return 1.0 if step < milestone else 0.1
