"""The inference pipeline of ovseg as a segmentor of mmseg."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ovseg.errors import ConfigError, PromptError
from ovseg.mm.backbone import ClipBackbone, ClipFeatures, refuse_normalized
from ovseg.mm.checkpoints import (
    refuse_left_over,
    rename_clip,
    rename_head,
    require_whole,
    split_head_weights,
)
from ovseg.mm.plain import to_dict
from ovseg.pipeline import build_pipeline
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.training.recipes import build_recipe
from ovseg.utils.devices import choose_precision
from ovseg.visualize.palette import distinct_colors

__all__ = ["OpenVocabSegmentor"]

log = logging.getLogger(__name__)


@MODELS.register_module()
class OpenVocabSegmentor(BaseSegmentor):
    """Segments by any words: one `ovseg.pipeline.Pipeline` with the face of mmseg's segmentors.

    Images come as mmseg's loading transforms give them, not resized: the pipeline resizes them,
    cuts windows, decodes at the image's own size and refines, as `ovseg segment` does. An image
    that the test pipeline has resized is taken as it is.

    Args:
        backbone: of type `ClipBackbone`.
        decode_head: the head, for example of type `MaskClipHead`.
        refiner: for example of type `PamrRefiner`; None for none.
        templates: prompt templates, as `ovseg.prompts.templates.load_templates` takes them.
        vocabulary: the classes, as `Vocabulary.parse` takes them; `set_vocabulary` changes them.
        test_cfg: windows and thresholds, see `ovseg.pipeline.build_pipeline`.
        train_cfg: how it is trained, of a type in `ovseg.registry.RECIPES`; None: not at
            all. Checkpoints do not hold what the recipe leaves frozen.
        data_preprocessor: must leave RGB from 0 to 255; that is the default.
        pretrained: weights in place of `backbone.pretrained`.
        precision: "fp32", "bf16" or "fp16", of the image encoder.
        keep_logits: also return `seg_logits`, (K, H, W) log probabilities, which test-time
            augmentation needs. They take K * H * W * 4 bytes an image.
        init_cfg: for mmseg's tools.

    Raises:
        ConfigError: a setting that the pipeline does not know, or a preprocessor that normalizes.
        CheckpointError: the weights cannot be had.
        PromptError: the vocabulary cannot be used.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        refiner: Mapping[str, Any] | None = None,
        templates: str | Sequence[str] = "imagenet80",
        vocabulary: str | Sequence[str] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        train_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        precision: str = "fp32",
        keep_logits: bool = False,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {"type": "SegDataPreProcessor", "bgr_to_rgb": True}
        super().__init__(data_preprocessor=MODELS.build(preprocessor), init_cfg=init_cfg)
        spec = {
            "type": type(self).__name__,
            "backbone": backbone,
            "decode_head": decode_head,
            "refiner": refiner,
            "templates": templates,
            "test_cfg": test_cfg or {},
        }
        if pretrained is not None:
            spec["backbone"] = {**backbone, "pretrained": pretrained}
        # mmseg builds on the CPU and moves the model afterwards.
        self.pipeline = build_pipeline(to_dict(spec), precision=choose_precision(precision, "cpu"))
        self.backbone = ClipBackbone(
            clip=self.pipeline.clip, return_intermediates=self.pipeline.head.return_intermediates
        )
        head = MODELS.get(decode_head["type"])
        self.decode_head = head(core=self.pipeline.head, templates=to_dict(templates))
        self.refiner = self.pipeline.refiner
        if self.refiner is not None:
            require_whole(self.refiner)
        self.keep_logits = keep_logits
        self.recipe = build_recipe(to_dict(train_cfg)) if train_cfg else None
        if self.recipe is not None:
            self.backbone.requires_grad_(False)
            self.recipe.prepare(self.pipeline.clip, self.pipeline.head)
        if vocabulary is not None:
            self.set_vocabulary(to_dict(vocabulary))
        self.register_load_state_dict_pre_hook(_fit_checkpoint)

    def set_vocabulary(self, vocabulary: str | Sequence[str] | Vocabulary) -> None:
        """Segment by other words from now on.

        Raises:
            PromptError: the vocabulary cannot be used.
            ConfigError: there is a threshold, but no background class for what is below it.
        """
        parsed_vocabulary = Vocabulary.parse(vocabulary)
        if self.pipeline.settings.threshold > 0 and parsed_vocabulary.background is None:
            raise ConfigError(
                f"a threshold of {self.pipeline.settings.threshold}, and no background class",
                where="model.test_cfg.threshold",
                expected="a class labeled background, which pixels below the threshold get",
                fix="choose a vocabulary with one, or set the threshold to 0",
            )
        self.decode_head.vocabulary = parsed_vocabulary

    @property
    def vocabulary(self) -> Vocabulary:
        """The classes.

        Raises:
            PromptError: none are set.
        """
        if self.decode_head.vocabulary is None:
            raise PromptError(
                "the segmentor has no classes",
                where="model.vocabulary",
                fix='name them in the config, for example vocabulary="ade20k" or "cat, dog", or '
                "call set_vocabulary",
            )
        return self.decode_head.vocabulary

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.vocabulary.classes)

    out_channels = num_classes

    @property
    def dataset_meta(self) -> dict[str, Any]:
        """Class names and colors, for mmseg's visualization; those of the vocabulary.

        mmseg assigns what a checkpoint says, or Cityscapes' names where none does. An
        open-vocabulary model is named by its vocabulary alone, so that is not taken over.
        """
        classes = self.vocabulary.classes
        palette = [list(color) for color in distinct_colors(len(classes))]
        return {"classes": classes, "palette": palette}

    @dataset_meta.setter
    def dataset_meta(self, value: Mapping[str, Any] | None) -> None:
        names = (value or {}).get("classes") or ()
        log.debug(
            "dataset_meta (%d classes) is not taken over: the vocabulary names the classes",
            len(names),
        )

    @property
    def cfg(self) -> Any:
        """A copy of the config that mmseg attaches: `inference_model` changes what it gets."""
        return copy.deepcopy(self._cfg)

    @cfg.setter
    def cfg(self, value: Any) -> None:
        self._cfg = value

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Label every pixel.

        Args:
            inputs: (N, 3, H, W) RGB from 0 to 255.
            data_samples: one an image; `ori_shape`, padding and flip are heeded.

        Returns:
            The data samples with `pred_sem_seg`, (1, H, W) int64 at `ori_shape`, and with
            `keep_logits` also `seg_logits`, (K, H, W) float32.

        Raises:
            ConfigError: the images are normalized.
            PromptError: there is no vocabulary.
            InputError: masks of the ground truth that are of another size than the image.
        """
        refuse_normalized(inputs)
        samples = data_samples or [SegDataSample() for _ in range(len(inputs))]
        for image, sample in zip(inputs, samples, strict=True):
            self._predict_one(image, sample)
        return samples

    def _predict_one(self, raw_image: Tensor, sample: SegDataSample) -> None:
        meta = sample.metainfo
        raw_image = _without_padding(raw_image, meta)
        size = tuple(meta.get("ori_shape", raw_image.shape[1:]))[:2]
        image, pixels = raw_image / 255, None
        if tuple(raw_image.shape[1:]) == size:
            pixels = raw_image.round().byte().permute(1, 2, 0).cpu().numpy()
            image = self.pipeline.prepare(pixels)
        masks = _truth(sample) if self.pipeline.head.uses_ground_truth else None
        found = self.pipeline.predict(
            image, self.vocabulary, size, image_np=pixels, want_scores=False, masks=masks
        )
        labels = torch.from_numpy(found.labels.astype("int64"))[None].to(raw_image.device)
        sample.pred_sem_seg = PixelData(data=_unflip(labels, meta))
        if self.keep_logits:
            maps = self.pipeline.probabilities(image, self.vocabulary, size, pixels, masks)
            logits = maps.clamp_min(torch.finfo(maps.dtype).tiny).log_()
            sample.seg_logits = PixelData(data=_unflip(logits, meta))

    def extract_feat(self, inputs: Tensor) -> ClipFeatures:
        """Run all blocks but the last on images (N, 3, H, W), RGB from 0 to 255."""
        return self.backbone(inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Score the pixels (N, K, H, W) of images as one window each."""
        seen, text = self.extract_feat(inputs), self._text()
        return self.decode_head.predict(seen, batch_img_metas, None, text)

    def _forward(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> Tensor:
        return self.decode_head(self.extract_feat(inputs), self._text())

    def _text(self) -> Tensor:
        return self.pipeline.bank.embeddings(self.vocabulary.prompts, self.pipeline.device)

    @property
    def frozen_parts(self) -> tuple[str, ...]:
        """Parts that training does not change, and that checkpoints therefore need not hold."""
        return self.recipe.frozen_parts if self.recipe is not None else ()

    def train(self, mode: bool = True) -> OpenVocabSegmentor:
        """Switch to training; the frozen parts stay as they are at inference."""
        super().train(mode)
        for part in self.frozen_parts:
            getattr(self, part).eval()
        return self

    def release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the trained weights of a checkpoint, under the names that the recipe gives."""
        return dict(state) if self.recipe is None else self.recipe.release(state)

    def prepare_teachers(self, device: torch.device) -> None:
        """Build the teachers of the recipe that `train_cfg` names."""
        if self.recipe is not None:
            self.recipe.prepare_teachers(device)

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Losses of the recipe that `train_cfg` names; no labels are needed.

        Args:
            inputs: (N, 3, H, W) RGB from 0 to 255.
            data_samples: what the recipe's data set tells of each image.

        Raises:
            ConfigError: there is no recipe, or the images are normalized.
        """
        if self.recipe is None:
            return self.decode_head.loss(inputs, data_samples)
        refuse_normalized(inputs)
        return self.recipe.losses(
            self.pipeline.clip, self.pipeline.head, inputs / 255, data_samples
        )


def _without_padding(image: Tensor, meta: Mapping[str, Any]) -> Tensor:
    """Cut off what mmseg's preprocessor or its padding transform has added."""
    padding = meta.get("img_padding_size", meta.get("padding_size", (0, 0, 0, 0)))
    left, right, top, bottom = (int(side) for side in padding)
    return image[:, top : image.shape[1] - bottom, left : image.shape[2] - right]


def _truth(sample: SegDataSample) -> Tensor:
    """Labels (H, W) of an image, flipped as the image is.

    Raises:
        ConfigError: it has none.
    """
    if "gt_sem_seg" not in sample:
        raise ConfigError(
            "masks of the ground truth, and the images have no labels",
            where="model.decode_head.proposer.masks",
            fix="evaluate on a data set with labels, or choose another source of masks",
        )
    return _unflip(sample.gt_sem_seg.data.long(), sample.metainfo)[0].cpu()


def _unflip(maps: Tensor, meta: Mapping[str, Any]) -> Tensor:
    """Turn a result (C, H, W) of a flipped image back."""
    if not meta.get("flip"):
        return maps
    return maps.flip({"horizontal": 2, "vertical": 1}[meta["flip_direction"]])


def _fit_checkpoint(
    model: OpenVocabSegmentor, state: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    head = f"{prefix}decode_head.core."
    own = split_head_weights(state, model.pipeline.head, head)
    rename_clip(state, model.backbone.clip, f"{prefix}backbone.clip.")
    rename_head(state, model.pipeline.head, head)
    state.update(own)
    refuse_left_over(state, dict(model.named_children()), prefix)
