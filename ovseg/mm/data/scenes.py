"""The drawn scenes as a data set of mmseg, drawn on the fly or read from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ovseg.errors import ConfigError, DatasetError
from ovseg.mm.data.scene_files import image_path, labels_path
from ovseg.scenes.world import CLASSES, PALETTE, SPLITS, VERSION, check_scene_size, check_seeds

__all__ = ["SceneDataset"]


@DATASETS.register_module()
class SceneDataset(BaseSegDataset):
    """Scenes of the synthetic world, 40 classes, ids 0 to 39 and 255 for ignore.

    Without `data_root` nothing is on disk: the items are `scene://` paths that mmseg's own
    loading transforms read (see `ovseg.mm.data.scene_files`). With `data_root` it reads a folder
    that `ovseg scenes` wrote.

    Args:
        split: "train", "val" or "test": which seeds are drawn. Held-out colors appear in the
            last two only.
        count: how many scenes are drawn, from the first seed of the split on.
        size: (height, width) of the drawn scenes, in pixels.
        data_root: a folder with `img_dir`, `ann_dir` and `classes.txt`; `split`, `count` and
            `size` then have no meaning.
        **kwargs: further arguments of mmseg's `BaseSegDataset` (`pipeline`, `indices`, ...).

    Raises:
        ConfigError: no such split, or more scenes than it has.
        DatasetError: the folder lacks images or label maps, or has other classes.
    """

    METAINFO = {  # noqa: RUF012 - mmengine's name and form
        "classes": CLASSES,
        "palette": [list(color) for color in PALETTE],
        "scenes_version": VERSION,
    }

    def __init__(
        self,
        split: str = "val",
        count: int = 200,
        size: tuple[int, int] = (224, 224),
        data_root: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.split, self.count, self.size = split, count, check_scene_size(tuple(size))
        kwargs.setdefault("img_suffix", ".png")
        if data_root is not None:
            kwargs.setdefault("data_prefix", {"img_path": "img_dir", "seg_map_path": "ann_dir"})
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the items, each with the number of classes for `LoadLabels`."""
        items = self._drawn() if self.data_root is None else self._written()
        for item in items:
            item["num_classes"] = len(CLASSES)
        return items

    def _drawn(self) -> list[dict[str, Any]]:
        if self.split not in SPLITS:
            raise ConfigError(
                f"unknown split {self.split!r}",
                where="SceneDataset.split",
                expected=f"one of {', '.join(SPLITS)}",
            )
        seeds = SPLITS[self.split]
        if self.count > len(seeds):
            raise ConfigError(
                f"{self.count} scenes asked for",
                where="SceneDataset.count",
                expected=f"at most {len(seeds)}, the size of split {self.split!r}",
            )
        return [
            {
                "img_path": image_path(seed, self.size),
                "seg_map_path": labels_path(seed, self.size),
                "label_map": self.label_map,
                "reduce_zero_label": self.reduce_zero_label,
                "seg_fields": [],
            }
            for seed in check_seeds(seeds[0], self.count)
        ]

    def _written(self) -> list[dict[str, Any]]:
        _check_folder(
            Path(self.data_root),
            {path.name for path in Path(self.data_prefix["img_path"]).glob("*.png")},
            {path.name for path in Path(self.data_prefix["seg_map_path"]).glob("*.png")},
        )
        return super().load_data_list()


def _check_folder(root: Path, images: set[str], label_maps: set[str]) -> None:
    """Refuse a folder in which an image or a label map lacks the other, or of other classes."""
    fix = "write the folder again with 'ovseg scenes'"
    if not images:
        raise DatasetError(
            "no images", where=root, expected="img_dir/*.png and ann_dir/*.png", fix=fix
        )
    unpaired = sorted(images ^ label_maps)
    if unpaired:
        raise DatasetError(
            f"{len(unpaired)} images or label maps lack their partner: "
            f"{', '.join(unpaired[:5])}{' ...' if len(unpaired) > 5 else ''}",
            where=root,
            expected="equal file names in img_dir and ann_dir",
            fix=fix,
        )
    listed = root / "classes.txt"
    if listed.is_file() and tuple(listed.read_text("utf-8").split("\n")[:-1]) != CLASSES:
        raise DatasetError(
            "its classes are not those of this version of the synthetic world",
            where=listed,
            fix=fix,
        )
