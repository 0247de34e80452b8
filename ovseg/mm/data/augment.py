"""The augmentations of CLIP-DINOiser's training as a transform of mmseg."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from torchvision.transforms import v2

from ovseg.errors import ConfigError

__all__ = ["ImageCrop"]


@TRANSFORMS.register_module()
class ImageCrop(BaseTransform):
    """Resizes the short side, crops a square, mirrors and changes the brightness, in this order.

    For training without labels (CLIP-DINOiser, section 4). It works on floats from 0 to 1, so that
    nothing is rounded between the steps; random numbers are torch's.

    Args:
        size: of the short side and of the crop, in pixels.
        flip: probability of mirroring.
        brightness: the factor is drawn from [1 - brightness, 1 + brightness].

    Raises:
        ConfigError: a setting out of its range.
    """

    def __init__(self, size: int = 448, flip: float = 0.5, brightness: float = 0.5) -> None:
        if size < 1 or not 0 <= flip <= 1 or not 0 <= brightness <= 1:
            raise ConfigError(
                f"size {size}, flip {flip}, brightness {brightness}",
                where="ImageCrop",
                expected="a positive size, flip and brightness from 0 to 1",
            )
        self.size, self.flip, self.brightness = size, flip, brightness
        self._steps = v2.Compose(
            [
                v2.Resize(size, antialias=False),
                v2.RandomCrop(size),
                v2.RandomHorizontalFlip(flip),
                v2.ColorJitter(brightness=brightness),
            ]
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `img`, (H, W, 3) uint8, to (size, size, 3) float32 from 0 to 255."""
        pixels = torch.from_numpy(np.ascontiguousarray(results["img"])).permute(2, 0, 1)
        crop = self._steps(pixels.float() / 255) * 255
        results["img"] = crop.permute(1, 2, 0).contiguous().numpy()
        results["img_shape"] = (self.size, self.size)
        return results

    def __repr__(self) -> str:
        return f"ImageCrop(size={self.size}, flip={self.flip}, brightness={self.brightness})"
