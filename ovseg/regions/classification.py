"""How often regions get their right name: top-1 and top-5, as a mean over the classes.

The measure of DeCLIP's training log (also of RegionCLIP and CLIPSelf): COCO's panoptic segments,
things and stuff apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ovseg.errors import InputError

__all__ = ["RegionClassification", "class_means", "top_hits"]

TOPS = (1, 5)


def top_hits(vectors: Tensor, text_embeddings: Tensor, labels: Tensor, top: int = 5) -> Tensor:
    """Whether the right class is the best, second best, ... of a region.

    Args:
        vectors: (K, E) features of regions, any length.
        text_embeddings: (C, E) features of classes, any length.
        labels: (K) the right class.
        top: places to look at.

    Returns:
        (K, top) bool, at most one True a row; places beyond the number of classes are False.

    Raises:
        InputError: other shapes, or a label that is no class.

    Example:
        >>> top_hits(torch.eye(2), torch.tensor([[1.0, 0.1], [0.5, 1.0]]), torch.tensor([1, 1]), 2)
        tensor([[False,  True],
                [ True, False]])
    """
    if (
        vectors.ndim != 2
        or text_embeddings.ndim != 2
        or vectors.shape[1] != text_embeddings.shape[1]
    ):
        raise InputError(
            f"vectors of shape {tuple(vectors.shape)} "
            f"and classes of {tuple(text_embeddings.shape)}",
            expected="(K, E) and (C, E)",
        )
    if len(labels) != len(vectors) or bool(((labels < 0) | (labels >= len(text_embeddings))).any()):
        raise InputError(
            "labels do not fit the regions and the classes",
            expected=f"{len(vectors)} labels from 0 to {len(text_embeddings) - 1}",
        )
    cosines = normalize(vectors.float(), dim=1) @ normalize(text_embeddings.float(), dim=1).T
    found = cosines.topk(min(top, len(text_embeddings)), dim=1).indices
    hits = torch.zeros(len(vectors), top, dtype=torch.bool, device=vectors.device)
    hits[:, : found.shape[1]] = found == labels.to(found)[:, None]
    return hits


def class_means(hits: Tensor, labels: Tensor, *, half: bool = False) -> dict[str, float]:
    """Accuracy of every class that occurs, averaged over these classes.

    Args:
        hits: (K, n) of `top_hits`.
        labels: (K) the right class.
        half: round the accuracy of every class to float16 first, as DeCLIP's log does.

    Returns:
        "macc1" and "macc5" in [0, 1]; NaN where there is no region.

    Example:
        >>> hits = torch.tensor([[True, False], [False, False], [False, True]])
        >>> class_means(hits, torch.tensor([0, 0, 1]))
        {'macc1': 0.25, 'macc5': 0.75}
    """
    means = {}
    for top in TOPS:
        hit = hits[:, :top].any(1).double()
        per_class = torch.stack([hit[labels == c].mean() for c in labels.unique()] or [hit.mean()])
        if half:
            per_class = per_class.half().double()
        means[f"macc{top}"] = float(per_class.mean())
    return means


class RegionClassification:
    """Collects regions of many images; `class_means` in the end, things and stuff apart.

    Args:
        text_embeddings: (C, E) features of classes, any length.
        half: see `class_means`.

    Example:
        >>> measure = RegionClassification(torch.eye(2))
        >>> measure.update("rois", torch.tensor([[2.0, 1.0]]), torch.tensor([0]), [True])
        >>> measure.compute()
        {'rois.thing.macc1': 1.0, 'rois.thing.macc5': 1.0}
    """

    def __init__(self, text_embeddings: Tensor, *, half: bool = False) -> None:
        self.text = text_embeddings
        self.half = half
        self._seen: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}

    def update(
        self, kind: str, vectors: Tensor, labels: Tensor, things: Tensor | Sequence[bool]
    ) -> None:
        """Add regions.

        Args:
            kind: how the vectors were made: "rois", "maskpool", "crops" or any other name.
            vectors: (K, E), any length.
            labels: (K) the right class.
            things: (K) which regions are things; the others are stuff.

        Raises:
            InputError: other shapes, or a label that is no class.
        """
        things = torch.as_tensor(things, dtype=torch.bool).cpu()
        if things.shape != labels.shape:
            raise InputError(f"{things.numel()} things or stuff for {labels.numel()} regions")
        hits = top_hits(vectors, self.text.to(vectors), labels, max(TOPS))
        self._seen.setdefault(kind, []).append((hits.cpu(), labels.long().cpu(), things))

    def compute(self) -> dict[str, float]:
        """Return "KIND.thing.macc1", "KIND.stuff.macc5", ... of the groups that have regions."""
        results: dict[str, float] = {}
        for kind, parts in self._seen.items():
            hits, labels, things = (torch.cat(each) for each in zip(*parts, strict=True))
            for group, chosen in (("thing", things), ("stuff", ~things)):
                if chosen.any():
                    means = class_means(hits[chosen], labels[chosen], half=self.half)
                    results |= {f"{kind}.{group}.{name}": mean for name, mean in means.items()}
        return results
