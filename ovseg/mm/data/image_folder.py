"""Any folder of images as a training set without labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS, TRANSFORMS

from ovseg.errors import ConfigError, DatasetError, InputError, RuntimeLimitError
from ovseg.images import find_images, read_image
from ovseg.training.region_files import read_boxes

__all__ = ["LoadImage", "ImageFolderDataset"]

_TRIES = 50


@DATASETS.register_module()
class ImageFolderDataset(BaseDataset):
    """All images below a folder: flat, in folders by class (ImageNet), or any other tree.

    An image that cannot be read gives way to the next one. What was skipped stands in the
    `skipped` of the data sample that came instead, {path: reason}, where `SkippedImagesHook`
    finds it.

    Args:
        data_root: the folder.
        draw: how many images to draw once, with replacement; None takes each once
            (CLIP-DINOiser, section 4: 1000).
        draw_seed: seed of that draw.
        boxes: file with boxes of regions, see `ovseg.training.region_files.read_boxes`; images
            that it does not name are left out.
        **options: further arguments of mmengine's `BaseDataset` (`pipeline`, `indices`, ...).

    Raises:
        DatasetError: no such folder, no image in it, or unusable boxes.
        ConfigError: a draw of no images.
    """

    def __init__(
        self,
        data_root: str,
        draw: int | None = None,
        draw_seed: int = 0,
        boxes: str | None = None,
        **options: Any,
    ) -> None:
        if draw is not None and draw < 1:
            raise ConfigError(
                f"draw={draw}", where="ImageFolderDataset.draw", expected="1 or more, or None"
            )
        self._draw, self._draw_seed, self._boxes = draw, draw_seed, boxes
        super().__init__(data_root=data_root, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images, each with its path."""
        if not Path(self.data_root).is_dir():
            raise DatasetError(
                "no such folder", where=self.data_root, fix="set data_root to a folder of images"
            )
        finder = find_images([self.data_root])
        try:
            finder.require_any()
            paths = [item.path for item in finder]
        except InputError as error:
            raise DatasetError(
                error.what, where="data_root", expected=error.expected, fix=error.fix
            ) from error
        known = None if self._boxes is None else self._with_boxes(self._boxes, paths)
        if known is not None:
            paths = [path for path in paths if path in known]
        if self._draw is not None:
            chosen = np.random.default_rng(self._draw_seed).integers(0, len(paths), self._draw)
            paths = [paths[index] for index in chosen]
        items: list[dict[str, Any]] = [{"img_path": path, "seg_fields": []} for path in paths]
        if known is not None:
            for item in items:
                item["boxes"] = known[item["img_path"]]
        return items

    def _with_boxes(self, file: str, paths: list[str]) -> dict[str, np.ndarray]:
        """Boxes (N, 4) of the images that the file of boxes names."""
        boxes = read_boxes(file)
        names = {path: Path(path).relative_to(self.data_root).as_posix() for path in paths}
        known = {path: boxes[name].numpy() for path, name in names.items() if name in boxes}
        if not known:
            raise DatasetError(
                "it names no image of the folder",
                where=file,
                expected=f"file_name relative to {self.data_root}, such as {names[paths[0]]}",
            )
        return known

    def __getitem__(self, index: int) -> Any:
        if not self._fully_initialized:
            self.full_init()
        skipped: dict[str, str] = {}
        for step in range(min(_TRIES, len(self))):
            place = (index + step) % len(self)
            try:
                item = self.prepare_data(place)
            except (InputError, RuntimeLimitError) as error:
                skipped[self.get_data_info(place)["img_path"]] = str(error)
                continue
            if skipped and isinstance(item, Mapping) and "data_samples" in item:
                item["data_samples"].set_metainfo({"skipped": skipped})
            return item
        raise DatasetError(
            f"{len(skipped)} images in a row cannot be read; the first: "
            f"{next(iter(skipped.values()))}",
            where=self.data_root,
            expected="a folder in which most images are whole",
        )


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Reads `img_path` as the rest of ovseg does (rotation, 16 bit, CMYK, ...).

    The image comes as mmseg's own `LoadImageFromFile` gives it, in the order BGR.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `img`, (H, W, 3) uint8 BGR, and its sizes.

        Raises:
            InputError: the file cannot be read as an image.
            RuntimeLimitError: it has too many pixels.
        """
        pixels = read_image(results["img_path"]).pixels
        results["img"] = np.ascontiguousarray(pixels[:, :, ::-1])
        results["img_shape"] = results["ori_shape"] = pixels.shape[:2]
        return results

    def __repr__(self) -> str:
        return "LoadImage()"
