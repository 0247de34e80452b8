"""Resizing of images in memory."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ovseg.images.decode import to_pixels

__all__ = ["image_of", "resize_image"]


def resize_image(image: np.ndarray, size: tuple[int, int], rule: str = "opencv") -> np.ndarray:
    """Resize bilinearly by the rule of a library.

    Args:
        image: (H, W, 3) uint8.
        size: (H', W') of the result.
        rule: "opencv", as mmcv does, or "pillow", which averages where it shrinks.

    Returns:
        (H', W', 3) uint8.
    """
    if rule == "pillow":
        from PIL import Image

        return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    import cv2

    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


def image_of(image_tensor: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Turn an image (3, h, w) in [0, 1] into (H, W, 3) uint8 of a size."""
    image_np = to_pixels(image_tensor)
    return image_np if image_np.shape[:2] == size else resize_image(image_np, size)
