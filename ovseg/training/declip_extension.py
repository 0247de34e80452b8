"""Optional parts of DeCLIP's training, after its extension (arXiv 2508.11256).

Self-attention of a diffusion model completes what the vision foundation model says; a region may
be a weighted mean of a grid of its own; and the correlations inside a region are kept. The
published text leaves layers and temperatures open, so those here are guesses. Without any of it a
training is that of DeCLIP itself.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError, DatasetError
from ovseg.heads.affinity import affinity
from ovseg.regions import roi_grid, roi_pool
from ovseg.training.declip import context_kl, context_loss
from ovseg.utils.shapes import size_of

__all__ = ["Extension", "merge_attention", "read_attention", "region_pool"]


@dataclass(frozen=True)
class Extension:
    """What of the extension a training uses; by default nothing.

    Args:
        diffusion: folder with a file NAME.npz for every image NAME.*: see `read_attention`.
        combine: "product" chains the layers of a file, "mean" averages them.
        kl_temperature: rows of the affinities are compared as distributions at this temperature;
            None compares them by their distance.
        pool_grid: a region is the weighted mean of this many rows and columns; None: RoIAlign
            to one vector.
        pool_temperature: of these weights.
        correlation_weight: weight of the correlations inside regions; 0 leaves them out.
        correlation_grid: rows and columns of a region there.
        correlation_temperature: likewise.

    Raises:
        ConfigError: a value out of its range, or no such folder.
    """

    diffusion: str | Path | None = None
    combine: str = "product"
    kl_temperature: float | None = None
    pool_grid: int | None = None
    pool_temperature: float = 1.0
    correlation_weight: float = 0.0
    correlation_grid: int = 7
    correlation_temperature: float = 0.1

    def __post_init__(self) -> None:
        where = "train_cfg.extension"
        if self.diffusion is not None and not Path(self.diffusion).is_dir():
            raise ConfigError("no such folder", where=f"{where}.diffusion: {self.diffusion}")
        if self.combine not in ("product", "mean"):
            raise ConfigError(f"combine {self.combine!r}", where=where, expected="product or mean")
        given = [self.kl_temperature, self.pool_grid, self.pool_temperature]
        given += [self.correlation_grid, self.correlation_temperature]
        wrong = any(value is not None and not value > 0 for value in given)
        if wrong or self.correlation_weight < 0:
            raise ConfigError(
                "a temperature or grid that is not positive",
                where=where,
                expected="temperatures and grids above 0, correlation_weight 0 or more",
            )

    def target(self, features: Tensor, paths: Sequence[str]) -> Tensor:
        """Affinity (B, n, n) that the context follows.

        Args:
            features: (B, C, h, w) of the vision foundation model.
            paths: of the images.

        Raises:
            DatasetError: the attention of an image is missing or unusable.
        """
        target = affinity(features)
        if self.diffusion is None:
            return target
        grid = size_of(features)
        files = [Path(self.diffusion, f"{Path(path).stem}.npz") for path in paths]
        maps = [merge_attention(read_attention(file), grid, self.combine) for file in files]
        return torch.stack(maps).to(target) @ target

    def context_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compare two affinities (B, n, n)."""
        if self.kl_temperature is None:
            return context_loss(student, teacher)
        return context_kl(student, teacher, self.kl_temperature)

    def regions(self, content: Tensor, boxes: Sequence[Tensor], crops: Tensor) -> Tensor:
        """Vectors (R, E) of the boxes of content features (B, E, h, w)."""
        if self.pool_grid is None:
            return roi_pool(content, boxes)
        grids = roi_grid(content, boxes, self.pool_grid)
        return region_pool(grids, crops, self.pool_temperature)

    def correlation_loss(
        self, content: Tensor, features: Tensor, boxes: Sequence[Tensor]
    ) -> Tensor | None:
        """Weighted mean KL of the rows of two affinities inside the boxes; None: left out."""
        if not self.correlation_weight or not sum(len(each) for each in boxes):
            return None
        student, teacher = (
            roi_grid(each, boxes, self.correlation_grid) for each in (content, features)
        )
        found = context_kl(affinity(student), affinity(teacher), self.correlation_temperature)
        return self.correlation_weight * found


def region_pool(grids: Tensor, crops: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean of the cells of each region, weighted by a softmax of their cosines with the crop.

    Args:
        grids: (R, E, n, n).
        crops: (R, E).
        temperature: what the cosines are divided by.

    Returns:
        (R, E).

    Example:
        >>> grids = torch.tensor([[3.0, 0.0], [0.0, 2.0]]).view(1, 2, 1, 2)
        >>> region_pool(grids, torch.tensor([[1.0, 0.0]]), 1e-3)
        tensor([[3., 0.]])
    """
    cells = grids.flatten(2)
    weights = (functional.cosine_similarity(cells, crops[:, :, None]) / temperature).softmax(dim=-1)
    return (cells * weights[:, None]).sum(dim=-1)


def read_attention(path: Path) -> Tensor:
    """Read the array `attention` of an npz file.

    Args:
        path: the file. The array is (M, M), (layers, M, M) or (layers, heads, M, M), rows are
            queries and sum to about 1, M is a square number of tokens in raster order.

    Returns:
        (layers, M, M) float32, the mean over the heads.

    Raises:
        DatasetError: no such file or array.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = torch.from_numpy(arrays["attention"].astype(np.float32))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"no attention of a diffusion model: {error}",
            where=path,
            expected="an npz file with the array attention for every image",
        ) from error
    if found.ndim == 4:
        found = found.mean(1)
    found = found[None] if found.ndim == 2 else found
    square = found.ndim == 3 and found.shape[1] == found.shape[2]
    if not square or math.isqrt(found.shape[1]) ** 2 != found.shape[1]:
        raise DatasetError(
            f"attention of shape {tuple(found.shape)}",
            where=path,
            expected="(M, M), (layers, M, M) or (layers, heads, M, M) with M = g * g",
        )
    return found


def merge_attention(layers: Tensor, grid: tuple[int, int], combine: str = "product") -> Tensor:
    """Bring attention to a grid and join its layers.

    Args:
        layers: (L, M, M), M = g * g.
        grid: (h, w) of the result, h * w = n.
        combine: "product" multiplies the layers in their order, "mean" averages them.

    Returns:
        (n, n), rows sum to 1.
    """
    side = math.isqrt(layers.shape[1])
    maps = layers
    for _ in range(2):
        # The second pass resizes what the first one has turned: queries, then keys again.
        maps = maps.unflatten(2, (side, side))
        maps = functional.interpolate(maps, grid, mode="bilinear").flatten(2).transpose(1, 2)
    maps = maps / maps.sum(dim=-1, keepdim=True).clamp_min(1e-12)
    if combine == "mean":
        return maps.mean(0)
    return torch.linalg.multi_dot(list(maps)) if len(maps) > 1 else maps[0]
