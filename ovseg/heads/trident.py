"""Trident (Shi et al., ICCV 2025): CLIP names, DINO mixes inside windows, SAM across the image.

CLIP's values of the last block are mixed by the likeness of DINO's patches, the windows' features
are spliced on one canvas, and the canvas is mixed by SAM's view of the whole image. Without the
splice and without SAM it is ProxyCLIP (Lan et al., ECCV 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.heads.base import Head, check_temperature
from ovseg.heads.proxy import mean_cosine, proxy_attention, through_grid
from ovseg.heads.sam_correlation import SamCorrelation
from ovseg.heads.splice import fitted_size, splice
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import CosineScores, ScoreGrid, join_windows
from ovseg.inference.windows import WindowGrid, window_batches
from ovseg.models.dino import build_dino
from ovseg.models.sam import SamEncoder, build_sam, stretch
from ovseg.models.sam_features import SamFeatures
from ovseg.registry import register_head
from ovseg.utils.shapes import size_of

if TYPE_CHECKING:
    import numpy as np

    from ovseg.models.clip import ClipEncoder
    from ovseg.models.sam import SamEncoder

__all__ = ["Trident"]

_CHOICES = {
    "mean": ("image", "window"),
    "merge": ("features", "scores"),
    "sam_grid": ("floor", "full"),
}


@register_head("TridentHead")
class Trident(Head):
    """Cosines of spliced and mixed features with the words.

    Args:
        dino: arguments of `ovseg.models.dino.build_dino`.
        sam: arguments of `ovseg.models.sam.build_sam`; None leaves SAM out.
        beta: pairs of patches whose cosine is below beta times the mean cosine do not mix.
        gamma: factor of what a cosine is above that.
        mean: the mean is that of all windows of the "image", or each "window" has its own.
        merge: where windows overlap, the mean of their "features" is taken (Trident), or that of
            their "scores" at the pixels (ProxyCLIP, without SAM).
        cos_fac: SAM's attention is kept between patches whose values' cosine is above this factor
            times the row's mean.
        refine_neg_cos: keep negative thresholds of that; else they become 0.6 (the published name
            says the opposite of what it does).
        sam_tiles: SAM sees the image in so many parts, side by side.
        sam_grid: "floor" drops a partial last row or column of SAM's patches and stretches the
            others over the image (as published); "full" fits the image to full patches.
        temperature: factor of the cosines inside the softmax.

    Raises:
        ConfigError: a setting out of its range, or SAM where windows are merged by scores.
        CheckpointError: weights that cannot be had, read or fitted.
    """

    score_type = "logits"

    def __init__(
        self,
        dino: Mapping[str, Any],
        sam: Mapping[str, Any] | None,
        *,
        beta: float = 1.2,
        gamma: float = 3.0,
        mean: str = "image",
        merge: str = "features",
        cos_fac: float = 1.2,
        refine_neg_cos: bool = True,
        sam_tiles: int = 1,
        sam_grid: str = "floor",
        temperature: float = 40.0,
    ) -> None:
        super().__init__()
        check_temperature(self.score_type, temperature)
        _check_numbers(beta, gamma, cos_fac, sam_tiles)
        for name, value in (("mean", mean), ("merge", merge), ("sam_grid", sam_grid)):
            if value not in _CHOICES[name]:
                raise ConfigError(
                    f"{name} {value!r}",
                    where=f"decode_head.{name}",
                    expected=" or ".join(_CHOICES[name]),
                )
        if sam is not None and merge == "scores":
            raise ConfigError(
                "SAM mixes the features of the whole image, and the windows stay apart",
                where="decode_head",
                fix='set merge="features", or sam=None',
            )
        self.dino = dino
        self.sam = sam
        self.beta = beta
        self.gamma = gamma
        self.mean = mean
        self.merge = merge
        self.cos_fac = cos_fac
        self.refine_neg_cos = refine_neg_cos
        self.sam_tiles = sam_tiles
        self.sam_grid = sam_grid
        self.temperature = temperature
        self.dino_tower = build_dino(**dino)
        self.sam_tower = None if sam is None else build_sam(**sam)
        self.requires_grad_(False)
        self.whole_image_scores = merge == "features"  # then they lie on one canvas
        self.wants_image = sam is not None  # SAM looks at it at its own size

    def sam_built_from(
        self, model: str | Path | Mapping[str, Any], pretrained: str | Path | None
    ) -> SamEncoder | None:
        """Return the head's SAM where these are what it was built from; see `Head`."""
        if self.sam is None or pretrained is None:
            return None
        own = self.sam.get("model"), self.sam.get("pretrained")
        return self.sam_tower if own == (model, pretrained) else None

    def to_precision(self, precision: str) -> Trident:
        """Cast DINO and SAM's image encoder, in place."""
        self.dino_tower.to_precision(precision)
        if self.sam_tower is not None:
            self.sam_tower.to_precision(precision)
        return self

    def resize_input(self, clip: ClipEncoder, image: Tensor, least: tuple[int, int]) -> Tensor:
        """Stretch an image to whole patches and at least one window."""
        size = fitted_size(size_of(image), clip.patch_size, least)
        if size == size_of(image):
            return image
        return functional.interpolate(image[None], size, mode="bilinear")[0]

    def dino_features(self, windows: Tensor) -> Tensor:
        """Return DINO's features (B, C, h, w) of windows (B, 3, H, W) in [0, 1]."""
        patch = self.dino_tower.patch_size
        size = tuple(max(round(side / patch), 1) * patch for side in windows.shape[2:])
        if size != tuple(windows.shape[2:]):
            windows = functional.interpolate(windows, size, mode="bilinear")
        return self.dino_tower(windows, "out")

    def attend_by_dino(
        self, clip: ClipEncoder, windows: Tensor, seen: Tensor, mean: Tensor
    ) -> Tensor:
        """Mix CLIP's values inside windows by what DINO sees alike.

        Args:
            clip: the encoder.
            windows: (B, 3, H, W) RGB in [0, 1].
            seen: (B, C, h, w) features of DINO.
            mean: mean cosine, as `proxy_attention` takes it.

        Returns:
            (B, D, h, w) float32, before CLIP's final norm.
        """
        backbone_tokens, grid = clip.run_backbone(windows), size_of(seen)
        attention = proxy_attention(seen, mean, self.beta, self.gamma)
        mixed = clip.tower.attend_with(
            backbone_tokens, through_grid(attention, grid, backbone_tokens.grid)
        )
        return mixed.float().transpose(1, 2).unflatten(2, grid)

    def sam_features(self, image: np.ndarray, patch: int) -> list[SamFeatures]:
        """Run SAM's encoder on the image, or on its parts side by side.

        Args:
            image: (H, W, 3) uint8 RGB.
            patch: CLIP's patch, to whose multiples the sides are stretched.
        """
        full, tower = self.sam_grid == "full", cast("SamEncoder", self.sam_tower)
        if self.sam_tiles == 1:
            return [tower.encode(image, patch, full_patches=full)]
        image = stretch(image, patch)
        edges = pairwise(_edges(image.shape[1], self.sam_tiles))
        tiles = (image[:, left:right] for left, right in edges)
        return [tower.encode(tile, full_patches=full) for tile in tiles]

    def aggregate(self, canvas: Tensor, sam_features: list[SamFeatures]) -> Tensor:
        """Mix features across the image by SAM.

        Args:
            canvas: (D, rows, columns).
            sam_features: what SAM sees, one a part of the image.

        Returns:
            (D, h, w) on SAM's patches.
        """
        edges = _edges(canvas.shape[2], len(sam_features))
        parts = []
        for view, (left, right) in zip(sam_features, pairwise(edges), strict=True):
            correlation = SamCorrelation(
                view, cos_fac=self.cos_fac, refine_neg_cos=self.refine_neg_cos
            )
            tokens = functional.interpolate(
                canvas[None, :, :, left:right], correlation.grid, mode="bilinear"
            )
            mixed = correlation.attend(tokens[0].flatten(1).T)
            parts.append(mixed.T.unflatten(1, correlation.grid))
        rows = parts[0].shape[1]
        parts = [part if part.shape[1] == rows else _with_rows(part, rows) for part in parts]
        return torch.cat(parts, dim=2)

    def project(self, clip: ClipEncoder, maps: Tensor) -> Tensor:
        """Take maps (B, D, h, w) through CLIP's final norm and projection: (B, E, h, w)."""
        tokens = maps.flatten(2).transpose(1, 2).to(clip.dtype)
        _, features = clip.tower.project(tokens)
        return features.float().transpose(1, 2).unflatten(2, maps.shape[2:])

    def forward(self, inputs: HeadInput) -> ScoreGrid:
        """Score the patches of the image; see `Head`."""
        clip, grid, text_embeddings = inputs.clip, inputs.grid, inputs.text_embeddings
        maps = self.window_features(clip, inputs.image_tensor, grid, inputs.batch)
        if not self.whole_image_scores:
            return CosineScores(join_windows(self.project(clip, maps), grid), text_embeddings)
        canvas, sam_features = splice(maps, grid, clip.patch_size), []
        if self.sam_tower is not None:
            sam_features = self.sam_features(cast("np.ndarray", inputs.image_np), clip.patch_size)
            canvas = self.aggregate(canvas, sam_features)
        scores = CosineScores(self.project(clip, canvas[None])[0], text_embeddings)
        scores.sam_features = sam_features[0] if len(sam_features) == 1 else None
        return scores

    def window_features(
        self, clip: ClipEncoder, image: Tensor, grid: WindowGrid, batch: int
    ) -> Tensor:
        """Mixed features (windows, D, h, w) of all windows of a fitted image (3, H, W).

        DINO goes first: the mean cosine is that of all windows together.
        """
        seen = torch.cat(
            [self.dino_features(windows) for _, windows in window_batches(image, grid, batch)]
        )
        means = mean_cosine(seen).view(-1, 1, 1)
        if self.mean == "image":
            means = means.mean().expand_as(means)
        found = [
            self.attend_by_dino(clip, windows, seen[part], means[part])
            for part, windows in window_batches(image, grid, batch)
        ]
        return torch.cat(found)


def _edges(width: int, parts: int) -> list[int]:
    """Where a width is cut into parts."""
    return [width * part // parts for part in range(parts + 1)]


def _with_rows(part: Tensor, rows: int) -> Tensor:
    """Resize a map (D, h, w) to the rows of its neighbor."""
    return functional.interpolate(part[None], (rows, part.shape[2]), mode="bilinear")[0]


def _check_numbers(beta: float, gamma: float, cos_fac: float, sam_tiles: int) -> None:
    for name, value, right, expected in (
        ("beta", beta, abs(beta) < float("inf"), "a finite number"),
        ("gamma", gamma, 0 < gamma < float("inf"), "above 0"),
        ("cos_fac", cos_fac, abs(cos_fac) < float("inf"), "a finite number"),
        ("sam_tiles", sam_tiles, isinstance(sam_tiles, int) and sam_tiles >= 1, "at least 1"),
    ):
        if not right:
            raise ConfigError(f"{name} {value!r}", where=f"decode_head.{name}", expected=expected)
