"""What a picture in memory is."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ovseg.errors import InputError

__all__ = ["require_rgb", "to_pixels"]


def to_pixels(image: Tensor) -> np.ndarray:
    """Turn a picture (3, H, W) in [0, 1] into (H, W, 3) uint8."""
    return (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()


def require_rgb(picture: np.ndarray) -> None:
    """Refuse an array that is no picture.

    Raises:
        InputError: it is not (H, W, 3) uint8, or it is empty.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(
            f"picture of shape {picture.shape} and dtype {picture.dtype}",
            expected="(H, W, 3) uint8 RGB",
        )
    if not picture.size:
        raise InputError(f"empty picture of shape {picture.shape}")
