"""Boxes that somebody proposes for the images of a folder, in COCO's JSON format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ovseg.errors import DatasetError

__all__ = ["read_boxes"]


def read_boxes(path: str | Path) -> dict[str, Tensor]:
    """Read a file of boxes.

    Args:
        path: JSON with `images` (`id`, `file_name`, `width`, `height`) and `annotations`
            (`image_id`, `bbox` as x, y, width and height in pixels); anything else in it is not
            looked at.

    Returns:
        (N, 4) xyxy in pixels for every `file_name`, also where N is 0.

    Raises:
        DatasetError: no such file, another format, or a box outside of its image.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        images = {each["id"]: each for each in content["images"]}
        found: dict[int, list[list[float]]] = {number: [] for number in images}
        for each in content["annotations"]:
            left, top, width, height = map(float, each["bbox"])
            box = [left, top, left + width, top + height]
            _check_box(box, images[each["image_id"]], path)
            found[each["image_id"]].append(box)
        names = {number: images[number]["file_name"] for number in images}
    except OSError as error:
        raise DatasetError(f"boxes cannot be read: {error.strerror}", where=path) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"not a file of boxes: {type(error).__name__} {error}",
            where=path,
            expected="COCO's JSON: images with id, file_name, width and height; annotations with "
            "image_id and bbox",
        ) from error
    return {names[number]: torch.tensor(found[number]).reshape(-1, 4) for number in names}


def _check_box(box: list[float], image: dict[str, Any], path: str | Path) -> None:
    left, top, right, bottom = box
    if not (left < image["width"] and top < image["height"] and right > 0 and bottom > 0):
        raise DatasetError(
            f"box {box} lies outside of {image['file_name']}, which has "
            f"{image['width']} x {image['height']} pixels",
            where=path,
            expected="bbox as x, y, width, height in pixels of the image",
        )
