"""What an image in memory is."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ovseg.errors import InputError

__all__ = ["require_rgb", "to_pixels"]


def to_pixels(image: Tensor) -> np.ndarray:
    """Turn an image (3, H, W) in [0, 1] into (H, W, 3) uint8."""
    return (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()


def require_rgb(image: np.ndarray) -> None:
    """Refuse an array that is no image.

    Raises:
        InputError: it is not (H, W, 3) uint8, or it is empty.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f"image of shape {image.shape} and dtype {image.dtype}",
            expected="(H, W, 3) uint8 RGB",
        )
    if not image.size:
        raise InputError(f"empty image of shape {image.shape}")
