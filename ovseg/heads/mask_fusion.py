"""What two judges say about a mask, made one: the source of the mask, and CLIP on its region.

Source: Liang et al., "Open-Vocabulary Semantic Segmentation with Mask-adapted CLIP" (CVPR 2023),
section 3.1, and its published code. Q masks, of which K have a region; C words.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

from ovseg.errors import ConfigError

__all__ = ["best_masks", "check_weight", "fuse", "proposal_probs"]


def proposal_probs(class_logits: Tensor) -> Tensor:
    """Probabilities (Q, C) of class logits (Q, C + 1), "no object" last.

    It is dropped after the softmax: a mask of nothing fades.

    Example:
        >>> proposal_probs(torch.zeros(1, 4))
        tensor([[0.2500, 0.2500, 0.2500]])
    """
    return class_logits.float().softmax(-1)[:, :-1]


def fuse(proposed: Tensor | None, seen: Tensor, valid: Tensor, weight: float) -> Tensor:
    """Blend the scores of masks, geometrically and without normalizing again.

    A weight of 0 does not mean that CLIP has no say, but that it has the only one: then, and where
    the source of masks knows no words, masks without a region score 0. Else they keep
    `proposed ** (1 - weight)`.

    Args:
        proposed: (Q, C) probabilities by the source of the masks; None where it has none.
        seen: (K, C) probabilities by CLIP.
        valid: (Q) bool, which masks have a region, in the order of `seen`.
        weight: share of CLIP in the exponent, from 0 to 1.

    Returns:
        (Q, C).

    Example:
        >>> proposed, seen = torch.tensor([[0.25], [0.25]]), torch.tensor([[1.0]])
        >>> fuse(proposed, seen, torch.tensor([True, False]), 0.5)
        tensor([[0.5000],
                [0.5000]])
    """
    alone = proposed is None or weight == 0
    scores = seen.new_full((len(valid), seen.shape[1]), 0.0 if alone else 1.0)
    scores[valid] = seen
    return scores if proposed is None or alone else proposed ** (1 - weight) * scores**weight


def best_masks(scores: Tensor, owners: Sequence[int]) -> Tensor:
    """Keep the best mask of every class, as the published demo does for words of one's own.

    Args:
        scores: (Q, C) of `fuse`.
        owners: class ids of the first of the C words, synonyms have the same; the rest are there
            to compare with.

    Returns:
        (Q) bool.

    Example:
        >>> scores = torch.tensor([[0.1, 0.9, 0.2], [0.8, 0.0, 0.3]])
        >>> best_masks(scores, [0, 0]).tolist(), best_masks(scores, [0, 1]).tolist()
        ([True, False], [True, True])
    """
    chosen = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    asked = scores[:, : len(owners)]
    ids = torch.tensor(list(owners), device=scores.device)
    for each in ids.unique() if len(scores) else ():
        chosen[asked[:, ids == each].amax(1).argmax()] = True
    return chosen


def check_weight(weight: float) -> None:
    """Refuse a weight outside [0, 1].

    Raises:
        ConfigError: it is.
    """
    if not (isinstance(weight, Real) and 0 <= weight <= 1):
        raise ConfigError(f"weight {weight!r}", where="decode_head.weight", expected="from 0 to 1")
