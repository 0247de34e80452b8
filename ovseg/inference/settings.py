"""How an image is laid before the network, and the result read: `test_cfg` of configurations."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from ovseg.errors import ConfigError
from ovseg.inference.decode import check_threshold
from ovseg.inference.tiles import CELL_ALIGNMENTS
from ovseg.inference.windows import WindowGrid, network_size, slide, whole
from ovseg.utils.plain_data import check_keys

__all__ = ["InferenceSettings"]


@dataclass(frozen=True)
class InferenceSettings:
    """Settings of inference.

    Args:
        mode: "slide" for windows, "whole" for the image at once.
        crop_size: side of a window, or (height, width), in pixels of the network's image.
        stride: distance of windows, likewise; at most the crop.
        short_side: length that the short side of an image gets; None leaves images as they are.
        long_side: limit of the long side; only with `short_side`.
        window_batch: windows that go through a tower at a time.
        threshold: pixels whose best probability is lower become background; in [0, 1].
        cell_alignment: "stretch", "exact" or "around" (with that padding of the encoder), see
            `ovseg.inference.decode.decode`.
        resize: whose bilinear rule resizes images: "opencv", as mmcv does, or "pillow", which
            averages where it shrinks.

    Raises:
        ConfigError: a setting of a wrong type or out of its range.
    """

    mode: str = "whole"
    crop_size: int | tuple[int, int] = 448
    stride: int | tuple[int, int] = 224
    short_side: int | None = 448
    long_side: int = 2048
    window_batch: int = 8
    threshold: float = 0.0
    cell_alignment: str = "stretch"
    resize: str = "opencv"

    def __post_init__(self) -> None:
        choices = {
            "mode": ("slide", "whole"),
            "cell_alignment": CELL_ALIGNMENTS,
            "resize": ("opencv", "pillow"),
        }
        for name, valid in choices.items():
            if getattr(self, name) not in valid:
                raise ConfigError(
                    f"{name} {getattr(self, name)!r}",
                    where=f"test_cfg.{name}",
                    expected=" or ".join(valid),
                )
        for name in ("short_side", "long_side", "window_batch"):
            value = getattr(self, name)
            if not (name == "short_side" and value is None):
                _check_length(name, value)
        for name in ("crop_size", "stride"):
            object.__setattr__(self, name, _pair(name, getattr(self, name)))
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, (int, float)):
            raise ConfigError(f"threshold {self.threshold!r}", where="test_cfg.threshold")
        check_threshold(self.threshold)
        if self.mode == "slide":
            slide(self.crop, self.crop, self.step)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any] | None) -> InferenceSettings:
        """Read settings from plain data.

        Raises:
            ConfigError: an unknown key or a wrong value.
        """
        data = check_keys(data or {}, [field.name for field in fields(cls)], "test_cfg")
        return cls(**data)

    def fit_patch(self, patch: int, *, strict: bool = False) -> InferenceSettings:
        """Round the crop up to multiples of the patch, with a warning; not with "around".

        Raises:
            ConfigError: it has to be rounded, but `strict` is set.
        """
        whole = self.mode == "whole" or self.cell_alignment == "around"
        if whole or not any(side % patch for side in self.crop):
            return self
        height, width = (side + -side % patch for side in self.crop)
        crop = height, width
        what = f"crop_size {self.crop_size} is no multiple of the patch of {patch} pixels"
        if strict:
            raise ConfigError(what, where="test_cfg.crop_size", fix=f"use {crop}")
        warnings.warn(f"{what}: {crop} is used", stacklevel=2)
        return replace(self, crop_size=crop)

    @property
    def crop(self) -> tuple[int, int]:
        """(height, width) of a window."""
        return cast("tuple[int, int]", self.crop_size)

    @property
    def step(self) -> tuple[int, int]:
        """Distance of windows (down, across)."""
        return cast("tuple[int, int]", self.stride)

    def network_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size (H', W') at which the network sees an image of size (H, W)."""
        return network_size(size, self.short_side, self.long_side)

    def windows(self, size: tuple[int, int]) -> WindowGrid:
        """Lay the windows over a network image of size (H', W')."""
        return slide(size, self.crop, self.step) if self.mode == "slide" else whole(size)


def _check_length(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(
            f"{name} {value!r}", where=f"test_cfg.{name}", expected="a whole number above 0"
        )


def _pair(name: str, value: object) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    for side in pair:
        _check_length(name, side)
    if len(pair) != 2:
        raise ConfigError(f"{name} {value!r}", where=f"test_cfg.{name}", expected="one or two")
    return pair
