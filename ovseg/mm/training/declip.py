"""DeCLIP's training on mmengine's Runner: regions of images, optimizer groups, averaging."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS, OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS, TRANSFORMS
from mmseg.structures import SegDataSample
from PIL import Image
from torch import nn

from ovseg.errors import ConfigError, InputError
from ovseg.regions.frames import crop_regions, enlarge, in_frame, letterbox
from ovseg.training.declip import declip_parameter_groups
from ovseg.training.declip_regions import sample_grid, sample_proposals

__all__ = ["AveragedWeightsHook", "PackRegions", "RegionTransform", "VectorsKeepConstructor"]

_SMALLEST = 10
_PROPOSAL_CROP = 1.5


@TRANSFORMS.register_module()
class RegionTransform(BaseTransform):
    """Letter-boxes an image for the student and for its teacher, and cuts its regions out.

    Where the data set gives `boxes`, some of them are the regions, and their crops are enlarged
    1.5 times; else the cells of a grid drawn by lot are (`ovseg.training.declip_regions`).

    Args:
        size: side of the student's square image, a multiple of its patch.
        vfm_size: side of the same for the vision foundation model: its patch times size / patch of
            the student gives both the same grid.
        crop_size: side of a crop, the image size that CLIP was trained with.
        max_split: most rows and columns of a grid.
        max_boxes: most regions of an image.

    Raises:
        ConfigError: a number below 1.
    """

    def __init__(
        self,
        size: int = 560,
        vfm_size: int = 490,
        crop_size: int = 224,
        max_split: int = 6,
        max_boxes: int = 20,
    ) -> None:
        numbers = (size, vfm_size, crop_size, max_split, max_boxes)
        if min(numbers) < 1:
            raise ConfigError(
                f"numbers {numbers}", where="RegionTransform", expected="each 1 or more"
            )
        self.size, self.vfm_size, self.crop_size = size, vfm_size, crop_size
        self.max_split, self.max_boxes = max_split, max_boxes

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `img`, (H, W, 3) uint8 BGR, to (size, size, 3); add `regions`.

        Raises:
            InputError: the image is smaller than 10 pixels; a data set then takes another.
        """
        height, width = size = results["img"].shape[:2]
        if min(size) < _SMALLEST:
            raise InputError(
                f"image of {height} x {width} pixels is too small to have regions",
                where=results.get("img_path"),
                expected=f"at least {_SMALLEST} x {_SMALLEST}",
            )
        image = Image.fromarray(np.ascontiguousarray(results["img"][:, :, ::-1]))
        if "boxes" in results:
            boxes = sample_proposals(torch.as_tensor(results["boxes"]), size, self.max_boxes)
            cut = enlarge(boxes, _PROPOSAL_CROP, size)
        else:
            cells = sample_grid(self.max_split, self.max_boxes)
            cut = boxes = cells * torch.tensor([width, height, width, height])
        seen = torch.from_numpy(letterbox(image, self.vfm_size))
        results["regions"] = {
            "boxes": in_frame(boxes, size),
            "crops": crop_regions(image, cut, self.crop_size),
            "vfm_image": seen.permute(2, 0, 1).contiguous(),
        }
        results["img"] = np.ascontiguousarray(letterbox(image, self.size)[:, :, ::-1])
        results["img_shape"] = (self.size, self.size)
        return results

    def __repr__(self) -> str:
        sides = f"size={self.size}, vfm_size={self.vfm_size}, crop_size={self.crop_size}"
        return f"RegionTransform({sides}, max_split={self.max_split}, max_boxes={self.max_boxes})"


@TRANSFORMS.register_module()
class PackRegions(BaseTransform):
    """Packs what `RegionTransform` gives: the image as input, the regions in the data sample."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return `inputs`, (3, size, size) uint8 BGR, and `data_samples`.

        The sample has `boxes` (K, 4), `crops` (K, 3, c, c), `vfm_image` (3, s, s) and the
        image's `img_path`.
        """
        meta = {key: results[key] for key in ("img_path", "img_shape", "ori_shape")}
        sample = SegDataSample(metainfo=meta)
        for name, tensor in results["regions"].items():
            sample.set_field(tensor, name)
        image = torch.from_numpy(results["img"]).permute(2, 0, 1).contiguous()
        return {"inputs": image, "data_samples": sample}

    def __repr__(self) -> str:
        return "PackRegions()"


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class VectorsKeepConstructor:
    """Builds an optimizer whose weight decay leaves vectors and norms alone.

    Args:
        optim_wrapper_cfg: configuration of the wrapper, with its `optimizer`.
        paramwise_cfg: not known here.

    Raises:
        ConfigError: there is a `paramwise_cfg`.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        if paramwise_cfg:
            raise ConfigError(
                "VectorsKeepConstructor knows no paramwise_cfg",
                where="optim_wrapper",
                fix="leave out one of both",
            )
        self.wrapper = dict(optim_wrapper_cfg)
        self.optimizer = dict(self.wrapper.pop("optimizer"))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper over the parameters of a model that need a gradient."""
        groups = declip_parameter_groups(_unwrap(model), self.optimizer.get("weight_decay", 0.0))
        optimizer = OPTIMIZERS.build({**self.optimizer, "params": groups})
        self.wrapper.setdefault("type", "OptimWrapper")
        return OPTIM_WRAPPERS.build({**self.wrapper, "optimizer": optimizer})


@HOOKS.register_module()
class AveragedWeightsHook(Hook):
    """Validates the averaged weights, which are released; the training goes on from its own."""

    def before_val_epoch(self, runner: Runner) -> None:
        """Put the average of student and teacher into the image encoder."""
        model = _unwrap(runner.model)
        visual = model.backbone.clip.model.visual
        self._own = {name: tensor.clone() for name, tensor in visual.state_dict().items()}
        visual.load_state_dict(model.recipe.average(self._own))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the student's own weights back."""
        _unwrap(runner.model).backbone.clip.model.visual.load_state_dict(self._own)
        del self._own


def _unwrap(model: nn.Module) -> Any:
    return model.module if is_model_wrapper(model) else model
