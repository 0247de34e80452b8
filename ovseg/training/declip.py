"""What DeCLIP learns: losses, trained tensors, the schedule and the averaging of weights.

The last block of the image encoder is split in two. *Context* features tell where a patch gathers
from; their cosines follow those of a vision foundation model. *Content* features are what it
gathers; pooled over a region they follow CLIP's own embedding of the cropped region. All functions
are pure. Source: Wang et al., "DeCLIP: Decoupled Learning for Open-Vocabulary Dense Perception"
(CVPR 2025) and its published code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.heads.affinity import affinity
from ovseg.models.clip import ClipEncoder
from ovseg.models.eva_siglip import EvaTower, SiglipTower
from ovseg.models.image_encoder import VisionTower, to_map
from ovseg.models.vit import VitTower

__all__ = [
    "average_weights",
    "content_loss",
    "context_affinity",
    "context_kl",
    "context_loss",
    "declip_parameter_groups",
    "rate_factor",
    "trainable_names",
]


def context_affinity(
    context: Sequence[Tensor], grid: tuple[int, int], target: tuple[int, int] | None = None
) -> Tensor:
    """Cosines of the context features of all pairs of patches.

    Args:
        context: (B, n, D) each, heads side by side; the mean of their cosines is taken.
        grid: (h, w) with h * w = n.
        target: grid of the teacher; the features are resized bilinearly where it is another one.

    Returns:
        (B, m, m) in [-1, 1], rows and columns in raster order of the teacher's grid.
    """
    maps = [to_map(part, grid) for part in context]
    if target is not None and tuple(target) != tuple(grid):
        maps = [functional.interpolate(each, target, mode="bilinear") for each in maps]
    return torch.stack([affinity(each) for each in maps]).mean(0)


def context_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean distance of the rows of two affinities.

    The Euclidean norm of a row is neither squared nor divided by its length, so that the loss
    grows with the square root of the number of patches.

    Args:
        student: (B, n, n).
        teacher: (B, n, n).

    Returns:
        A scalar.

    Example:
        >>> float(context_loss(torch.zeros(1, 4, 4), torch.ones(1, 4, 4)))
        2.0
    """
    return (teacher - student).norm(dim=-1).mean()


def context_kl(student: Tensor, teacher: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean divergence KL(teacher, student) of the rows, each made a distribution by a softmax.

    The form of the extended method (arXiv 2508.11256); the temperature is not published.

    Args:
        student: (..., n).
        teacher: (..., n); no gradient flows into it.
        temperature: what the affinities are divided by.

    Example:
        >>> float(context_kl(torch.eye(3), torch.eye(3)))
        0.0
    """
    log_student = (student / temperature).log_softmax(dim=-1)
    log_teacher = (teacher.detach() / temperature).log_softmax(dim=-1)
    return (log_teacher.exp() * (log_teacher - log_student)).sum(dim=-1).mean()


def content_loss(regions: Tensor, crops: Tensor) -> Tensor:
    """One minus the mean cosine of all regions of a batch and their crops.

    Args:
        regions: (R, E) of the student.
        crops: (R, E) of the frozen teacher.

    Returns:
        A scalar; 0 where there are no regions.

    Example:
        >>> float(content_loss(torch.eye(2), torch.eye(2)))
        0.0
    """
    if not len(regions):
        return regions.sum()
    return 1 - functional.cosine_similarity(regions, crops, dim=1).mean()


def rate_factor(step: int, warmup: int, total: int) -> float:
    """Factor of the learning rate at a step, counted from 0: a linear warm-up, then a cosine to 0.

    Example:
        >>> rate_factor(0, 1000, 44358), rate_factor(1000, 1000, 44358)
        (0.001, 1.0)
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def trainable_names(clip: ClipEncoder, mode: str, blocks: int | None = None) -> set[str]:
    """Names of the tensors that are trained, as `clip.model` has them.

    They lie in the last blocks of the image encoder; embeddings and the final norm and projection
    stay. Of the last block everything stays that takes no part in the split read-out.

    Args:
        clip: the student.
        mode: how its last block is read, a key of `ovseg.models.last_block.SELF_PARTS`.
        blocks: how many blocks; None for all of them.

    Raises:
        ConfigError: a tower without such a last block, or a number of blocks that it has not.
    """
    tower = clip.tower
    rules: dict[type[VisionTower], Callable[[Any, str], _Prefixes]]
    rules = {VitTower: _vit_prefixes, EvaTower: _eva_prefixes, SiglipTower: _siglip_prefixes}
    rule = next((each for kind, each in rules.items() if isinstance(tower, kind)), None)
    if rule is None:
        raise ConfigError(
            f"{clip.name} has no transformer blocks to train",
            where="model",
            expected="a vision transformer of CLIP, EVA02-CLIP or SigLIP",
        )
    home, depth, last, also, idle = rule(tower, mode)
    count = depth if blocks is None else blocks
    if not 1 <= count <= depth:
        raise ConfigError(
            f"{blocks} trained blocks", where="blocks", expected=f"1 to {depth}, or None for all"
        )
    trained = tuple([*(f"{home}.{index}." for index in range(depth - count, depth)), *also])
    frozen = tuple(f"{last}.{part}" for part in idle)
    names = (name for name, _ in clip.model.named_parameters())
    return {name for name in names if name.startswith(trained) and not name.startswith(frozen)}


_Prefixes = tuple[str, int, str, list[str], list[str]]
"""Home and number of the blocks, the block that is read out, what else is trained, and what of the
block takes no part."""


def _vit_prefixes(tower: VitTower, mode: str) -> _Prefixes:
    home, depth = "visual.transformer.resblocks", len(tower.visual.transformer.resblocks)
    # Queries, keys and values are rows of one tensor there, which is trained as a whole.
    return home, depth, f"{home}.{depth - 1}", [], ["ln_2.", "mlp.", "ls_2."]


def _eva_prefixes(tower: EvaTower, mode: str) -> _Prefixes:
    home, depth = "visual.trunk.blocks", len(tower.visual.trunk.blocks)
    idle = {"qq": "k", "kk": "q", "vv": "qk"}.get(mode, "")
    parts = [f"attn.{part}_{kind}" for part in idle for kind in ("proj.", "bias")]
    return home, depth, f"{home}.{depth - 1}", [], ["norm2.", "mlp.", "gamma_2", *parts]


def _siglip_prefixes(tower: SiglipTower, mode: str) -> _Prefixes:
    home, pool = "visual.trunk.blocks", "visual.trunk.attn_pool"
    also = ["visual.trunk.norm.", f"{pool}."]
    return home, len(tower.visual.trunk.blocks), pool, also, ["latent"]


def declip_parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for `torch.optim.AdamW`: vectors and norms do not decay, matrices do.

    The published betas and epsilon are (0.9, 0.98) and 1e-6 for OpenAI-style vision transformers,
    and torch's own for EVA02 and SigLIP.

    Args:
        model: its parameters that need a gradient are taken.
        weight_decay: of the matrices.
    """
    groups: list[list[nn.Parameter]] = [[], []]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim < 2 or any(
                word in name for word in ("bn", "ln", "bias", "logit_scale")
            )
            groups[not plain].append(parameter)
    return [
        {"params": params, "weight_decay": decay}
        for params, decay in zip(groups, (0.0, weight_decay), strict=True)
        if params
    ]


def average_weights(
    student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """Mean of two sets of weights: alpha * student + (1 - alpha) * teacher.

    Args:
        student: names and tensors.
        teacher: the same names; other names of it are not looked at.
        alpha: share of the student; 1 or more is the student itself.

    Example:
        >>> average_weights({"a": torch.ones(1)}, {"a": torch.zeros(1)}, 0.75)
        {'a': tensor([0.7500])}
    """
    if alpha >= 1:
        return dict(student)
    return {
        name: torch.lerp(teacher[name].to(tensor), tensor, alpha)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in student.items()
    }


def freeze_but(model: nn.Module, names: Iterable[str]) -> None:
    """Let a model train the named parameters and no others."""
    wanted = set(names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in wanted)
