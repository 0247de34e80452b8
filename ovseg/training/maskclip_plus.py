"""Pseudo labels of MaskCLIP+ (Zhou et al., ECCV 2022, section 3.3): a frozen CLIP teaches.

Pixels without a label get the class that MaskCLIP, or later the network itself, finds best among
the classes that nobody has labeled. Labeled pixels stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.inference.decode import decode
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import DenseScores
from ovseg.inference.windows import whole

if TYPE_CHECKING:
    from ovseg.pipeline import Pipeline

__all__ = [
    "IGNORE",
    "UNLABELED",
    "class_vectors",
    "distillation_loss",
    "fill",
    "guess_of_network",
    "guess_of_teacher",
    "hide",
    "ignore_rest",
]

UNLABELED, IGNORE = -1, 255
"""A pixel that wants a pseudo label, and one that does not count."""


def hide(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Take the labels of some classes away.

    Args:
        labels: (B, H, W) integers.
        classes: those that become unlabeled.

    Example:
        >>> hide(torch.tensor([[[0, 1, 255]]]), [1]).tolist()
        [[[0, -1, 255]]]
    """
    wanted = torch.as_tensor(list(classes), device=labels.device, dtype=labels.dtype)
    return labels.masked_fill(torch.isin(labels, wanted), UNLABELED)


def fill(
    labels: Tensor,
    guess: Tensor,
    classes: Sequence[int],
    sure: Tensor | None = None,
    threshold: float = 0.0,
) -> Tensor:
    """Give pixels without a label the class that was guessed.

    Args:
        labels: (B, H, W) integers, -1 for no label.
        guess: (B, H, W) index into `classes`.
        classes: the classes that could be guessed.
        sure: (B, H, W) probability of the guess; needed with a threshold.
        threshold: pixels whose probability is below this stay without a label.
    """
    table = torch.as_tensor(list(classes), device=labels.device, dtype=labels.dtype)
    open_ = labels == UNLABELED
    if threshold > 0 and sure is not None:
        open_ = open_ & (sure >= threshold)
    return torch.where(open_, table[guess.long()], labels)


def ignore_rest(labels: Tensor) -> Tensor:
    """Let pixels that have no label still (-1) not count (255)."""
    return labels.masked_fill(labels == UNLABELED, IGNORE)


@torch.no_grad()
def guess_of_teacher(
    teacher: Pipeline, images: Tensor, text_embeddings: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Ask the teacher for the best class of every pixel.

    Prompt denoising and key smoothing are the teacher's own, over the given words only.

    Args:
        teacher: a pipeline; its windows are used, its words are not.
        images: (B, 3, H', W') RGB in [0, 1].
        text_embeddings: (U, E) unit rows, one a class.
        size: (H, W) of the labels.

    Returns:
        (B, H, W) int64 index of the row, and (B, H, W) its probability.
    """
    found = []
    for image in images:
        settings = teacher.settings
        grid = settings.windows(tuple(image.shape[1:]))
        inputs = HeadInput(teacher.clip, image, text_embeddings, grid, settings.window_batch)
        options = teacher.head.decode_options(settings.cell_alignment)
        found.append(decode(teacher.head(inputs), grid, size, options))
    guess = torch.stack([torch.from_numpy(one.labels.astype("int64")) for one in found])
    sure = torch.stack([torch.from_numpy(one.scores) for one in found])
    return guess.to(images.device), sure.to(images.device)


@torch.no_grad()
def guess_of_network(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Ask the network itself, for the phase of self-training.

    Args:
        logits: (B, U, h, w) of the classes that may be guessed.
        size: (H, W) of the labels.

    Returns:
        As `guess_of_teacher`.
    """
    found = [decode(DenseScores(one), whole(size), size) for one in logits]
    guess = torch.stack([torch.from_numpy(one.labels.astype("int64")) for one in found])
    sure = torch.stack([torch.from_numpy(one.scores) for one in found])
    return guess.to(logits.device), sure.to(logits.device)


def class_vectors(prompts: Tensor, prompt_class: Sequence[int], classes: int) -> Tensor:
    """Make one unit row a class: the mean of its synonyms' rows.

    Args:
        prompts: (Q, E) unit rows.
        prompt_class: (Q) class of each.
        classes: K.

    Returns:
        (K, E).
    """
    sums = prompts.new_zeros(classes, prompts.shape[1])
    sums.index_add_(0, torch.as_tensor(prompt_class, device=prompts.device), prompts)
    return functional.normalize(sums, dim=1)


def distillation_loss(features: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """L1 distance of the network's features and CLIP's unit features, at pixels that count.

    Unlike in the published code, where the features are detached, a gradient flows.

    Args:
        features: (B, E, h, w) of the network.
        teacher: (B, E, h', w') of CLIP, any length.
        labels: (B, H, W); pixels with 255 do not count.

    Returns:
        A scalar; 0 where no pixel counts.
    """
    size = tuple(labels.shape[-2:])
    unit = functional.normalize(teacher, dim=1)
    ours, theirs = (
        functional.interpolate(one, size, mode="bilinear", align_corners=False)
        for one in (features, unit)
    )
    counted = (labels != IGNORE)[:, None].to(ours.dtype)
    total = counted.sum() * features.shape[1]
    return ((ours - theirs).abs() * counted).sum() / total.clamp_min(1)
