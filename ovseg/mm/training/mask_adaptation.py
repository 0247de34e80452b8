"""Training of mask-adapted CLIP on mmengine's Runner: the model and its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather, get_rank, get_world_size
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmseg.registry import DATASETS, MODELS, TRANSFORMS
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.functional import resized_crop

from ovseg.errors import DatasetError
from ovseg.images import read_image
from ovseg.mm.plain import to_dict
from ovseg.models.clip import build_clip
from ovseg.training.mask_adaptation import MaskAdaptation, kept_pixels
from ovseg.training.region_pairs import read_pairs
from ovseg.utils.plain_data import resolve_type

__all__ = ["LoadRegion", "ClipContrastiveModel", "MaskTextPairDataset", "RandomRegionCrop"]


@MODELS.register_module()
class ClipContrastiveModel(BaseModel):
    """CLIP that learns regions with blank outsides from pairs of regions and words.

    Args:
        backbone: of type `ClipBackbone`.
        trained: "tower" or "prompts"; see `MaskAdaptation`, as for the other arguments.
        depth: blocks that get prompts of their own.
        merge_duplicates: whether equal words of a batch are no negatives of each other.

    Raises:
        ConfigError: an unknown setting.
        CheckpointError: weights that cannot be had.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        trained: str = "prompts",
        depth: int = 3,
        merge_duplicates: bool = False,
    ) -> None:
        super().__init__(data_preprocessor=BaseDataPreprocessor())
        make, options = resolve_type(to_dict(backbone), {"ClipBackbone": build_clip}, "backbone")
        self.adaptation = MaskAdaptation(make(**options), trained, depth, merge_duplicates)
        frozen = [name for name, weight in self.named_parameters() if not weight.requires_grad]
        self.frozen_parts = tuple(frozen)

    def forward(
        self, inputs: Tensor, mask: Tensor, title: Sequence[str], mode: str = "loss"
    ) -> dict[str, Tensor]:
        """Loss of a batch.

        Args:
            inputs: (N, 3, S, S) uint8 RGB.
            mask: (N, S, S) bool, False where blank.
            title: N words.
            mode: mmengine's; there is only "loss".
        """
        tokens = self.adaptation.clip.tokenize(title).to(inputs.device)
        return {"loss_contrast": self.adaptation(inputs, mask, tokens, gather_rows)}

    def train(self, mode: bool = True) -> ClipContrastiveModel:
        """Stay in eval mode: CLIP has neither dropout nor batch statistics."""
        return super().train(False)

    def release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the trained weights of a checkpoint: the image encoder, or the prompts."""
        self.load_state_dict({**self.state_dict(), **state})
        return self.adaptation.release()


def gather_rows(rows: Tensor) -> Tensor:
    """Rows (N, ...) of every process, one after the other; gradients flow into the own ones."""
    if get_world_size() == 1:
        return rows
    parts = all_gather(rows.detach())
    parts[get_rank()] = rows
    return torch.cat(parts)


@DATASETS.register_module()
class MaskTextPairDataset(BaseDataset):
    """Pairs of regions and words that `tools/mine_pairs.py` writes, or the published ones.

    Takes the arguments of mmengine's `BaseDataset` (`pipeline`, `indices`, ...); `ann_file` is the
    table, as `ovseg.training.region_pairs.read_pairs` takes it.

    Raises:
        DatasetError: the table is empty or damaged, or names files that are not there.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the pairs."""
        return [pair._asdict() for pair in read_pairs(self.ann_file)]


@TRANSFORMS.register_module()
class LoadRegion(BaseTransform):
    """Reads the image and, where the table names one, the mask of a region."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `img`, (H, W, 3) uint8 RGB, and `kept`, (H, W) bool or None.

        Raises:
            InputError: a file cannot be read as an image.
            DatasetError: the mask has another size than the image.
        """
        pixels = read_image(str(results["filepath"])).pixels
        kept = None
        if results["mask"] is not None:
            kept = read_image(str(results["mask"])).pixels[:, :, 0] > 127
            if kept.shape != pixels.shape[:2]:
                raise DatasetError(
                    f"a mask of {kept.shape[0]} x {kept.shape[1]} pixels",
                    where=results["mask"],
                    expected=f"the size of its image, {pixels.shape[0]} x {pixels.shape[1]}",
                )
        return {**results, "img": pixels, "kept": kept}


@TRANSFORMS.register_module()
class RandomRegionCrop(BaseTransform):
    """A random part of a region, resized by the bicubic rule of Pillow; no flip, no color.

    Without a mask what is blank is told from the color of the result, as in the published code.

    Args:
        size: side of the result in pixels.
        scale: range of the share of the area.
    """

    def __init__(self, size: int = 224, scale: tuple[float, float] = (0.9, 1.0)) -> None:
        self.size, self.scale = size, tuple(scale)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return `inputs`, (3, S, S) uint8, `mask`, (S, S) bool, and `title`."""
        image = Image.fromarray(results["img"])
        box = RandomResizedCrop.get_params(image, list(self.scale), [3 / 4, 4 / 3])
        side = [self.size, self.size]
        pixels = np.array(resized_crop(image, *box, side, InterpolationMode.BICUBIC))
        if results["kept"] is None:
            kept = kept_pixels(pixels)
        else:
            mask = Image.fromarray(results["kept"])
            kept = np.array(resized_crop(mask, *box, side, InterpolationMode.NEAREST))
        return {
            "inputs": torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
            "mask": torch.from_numpy(kept),
            "title": results["title"],
        }
