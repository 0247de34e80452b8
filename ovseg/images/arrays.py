"""Arrays as images: (H, W, 3) uint8 RGB, anything else only when it is said to be so."""

from __future__ import annotations

import numpy as np

from ovseg.errors import InputError
from ovseg.images.decode import check_size
from ovseg.images.depth import to_uint8
from ovseg.images.options import LoadedImage, ReadOptions

__all__ = ["from_array"]

_CONTRACT = "an (H, W, 3) uint8 RGB array"


def from_array(array: np.ndarray, options: ReadOptions, source: str = "<array>") -> LoadedImage:
    """Take an array as an image.

    Args:
        array: (H, W, 3) uint8 RGB; `options.array_layout`, `array_channels` and `value_range`
            say so when it is another layout, order or type.
        options: how to read it.
        source: what to call it in messages.

    Returns:
        The image; it never shares memory with `array`.

    Raises:
        InputError: dtype or shape are not the contract's and no option explains them.
        RuntimeLimitError: more pixels than allowed.

    Example:
        >>> from_array(np.zeros((2, 4, 3), np.uint8), ReadOptions()).size
        (2, 4)
    """
    _check_dtype(array, options, source)
    array = _to_hwc(array, options, source)
    height, width = array.shape[:2]
    check_size(width, height, source, options)
    if options.array_channels == "BGR":
        array = array[..., ::-1]
    pixels, rule = to_uint8(array, options.value_range, source)
    return LoadedImage(np.array(pixels, order="C"), source, {} if rule is None else {"depth": rule})


def _check_dtype(array: np.ndarray, options: ReadOptions, source: str) -> None:
    scalable = array.dtype.kind in "iuf" and options.value_range is not None
    if array.dtype != np.uint8 and not scalable:
        scale = "give value_range=(low, high) or " if array.dtype.kind in "iuf" else ""
        raise InputError(
            f"array of dtype {array.dtype} and shape {array.shape}",
            where=source,
            expected=_CONTRACT,
            fix=f"{scale}convert it to uint8",
        )


def _to_hwc(array: np.ndarray, options: ReadOptions, source: str) -> np.ndarray:
    shape, layout = array.shape, options.array_layout
    if array.ndim == 3 and array.size:
        if layout is None and shape[0] == shape[2] == 3:
            raise InputError(
                f"shape {shape} can be read as (H, W, 3) or as (3, H, W)",
                where=source,
                fix='say which with array_layout="HWC" or "CHW"',
            )
        if layout == "CHW" and shape[0] == 3:
            return array.transpose(1, 2, 0)
        if layout != "CHW" and shape[2] == 3:
            return array
    raise InputError(
        f"array of shape {shape} and dtype {array.dtype}",
        where=source,
        expected=_CONTRACT if options.array_layout != "CHW" else "a (3, H, W) array",
        fix=_shape_hint(shape, options),
    )


def _shape_hint(shape: tuple[int, ...], options: ReadOptions) -> str:
    if 0 in shape:
        return "give an image with at least one pixel"
    if len(shape) == 3 and shape[0] == 3 and options.array_layout is None:
        return 'give array_layout="CHW" for channels first'
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 2, 4)):
        return "give gray or RGBA data as a PIL image: PIL.Image.fromarray(array)"
    if len(shape) == 4:
        return "give the images of a batch one by one, as a list"
    return "bring it to three color channels, last axis RGB"
