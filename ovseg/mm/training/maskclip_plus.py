"""MaskCLIP+ for mmseg: any backbone and decode head of mmseg as the student of MaskCLIP.

Source: Zhou et al., "Extract Free Dense Labels from CLIP" (ECCV 2022), section 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from mmengine.logging import MessageHub
from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads.aspp_head import ASPPModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.heads.base import WindowHead
from ovseg.mm.plain import to_dict
from ovseg.pipeline import Pipeline, build_pipeline
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.training.maskclip_plus import (
    IGNORE,
    UNLABELED,
    class_vectors,
    distillation_loss,
    fill,
    guess_of_network,
    guess_of_teacher,
    hide,
    ignore_rest,
)
from ovseg.utils.shapes import size_of

__all__ = ["DeepLabV2Head", "MaskClipPlus", "MaskClipPlusHead"]


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """DeepLabv2: four dilated 3x3 convolutions side by side, summed (Chen et al., 2017).

    Args:
        dilations: of the convolutions.
        **options: of mmseg's `BaseDecodeHead`.
    """

    def __init__(self, dilations: Sequence[int] = (6, 12, 18, 24), **options: Any) -> None:
        super().__init__(**options)
        self.aspp_modules = ASPPModule(
            tuple(dilations),
            self.in_channels,
            self.channels,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Score the cells, (B, classes, h, w)."""
        return self.cls_seg(sum(self.aspp_modules(self._transform_inputs(inputs))))


@MODELS.register_module()
class MaskClipPlusHead(BaseDecodeHead):
    """A decode head of mmseg whose classifier is fixed: CLIP's vectors of the class names.

    The features are compared as they are, without normalizing and without a temperature.

    Args:
        decode_module: the head that makes the features; its own classifier is taken out.
        channels: of its features: those of CLIP's joint space.
        vocabulary: the classes, as `Vocabulary.parse` takes them.
        learn_background: put a learned row in front, class 0, for what no name describes.
        **options: of mmseg's `BaseDecodeHead`.

    Attributes:
        text_embeddings: (K, channels) buffer; zeros until the teacher has encoded the names.
    """

    def __init__(
        self,
        decode_module: Mapping[str, Any],
        channels: int,
        vocabulary: str | Sequence[str],
        learn_background: bool = False,
        **options: Any,
    ) -> None:
        parsed_vocabulary = Vocabulary.parse(to_dict(vocabulary))
        count = len(parsed_vocabulary.classes) + learn_background
        shared = {"channels": channels, "num_classes": count}
        options.setdefault("in_channels", decode_module["in_channels"])
        super().__init__(**{"init_cfg": None, **shared, **options})
        self.vocabulary = parsed_vocabulary
        self.conv_seg = None
        self.dropout = None
        self.decode_module = MODELS.build({**decode_module, **shared})
        self.decode_module.conv_seg = nn.Identity()
        self.decode_module.dropout = None
        self.register_buffer(
            "text_embeddings", torch.zeros(len(parsed_vocabulary.classes), channels)
        )
        self.bg_embeddings = nn.Parameter(torch.randn(1, channels)) if learn_background else None

    def rows(self) -> Tensor:
        """Return the classifier, (K, channels), the background first where there is one."""
        if self.bg_embeddings is None:
            return self.text_embeddings
        return torch.cat([functional.normalize(self.bg_embeddings, dim=1), self.text_embeddings])

    def features(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return features (B, channels, h, w)."""
        return self.decode_module(inputs)

    def classify(self, features: Tensor) -> Tensor:
        """Score features: (B, K, h, w)."""
        return functional.conv2d(features, self.rows()[:, :, None, None])

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Score the cells, (B, K, h, w)."""
        return self.classify(self.features(inputs))


@MODELS.register_module()
class MaskClipPlus(EncoderDecoder):
    """A segmentor of mmseg that learns from MaskCLIP what nobody has labeled.

    In training every pixel of an unseen class gets a pseudo label; at test it is an ordinary
    `EncoderDecoder`, without CLIP. Images without labels train too: all classes are unseen then.

    Args:
        teacher: `backbone`, `decode_head`, `templates` and `test_cfg` of a MaskCLIP, as for
            `OpenVocabSegmentor`. It is built when training starts and is never saved.
        unseen: classes (indices, the background row included) without labels; None for all names.
        self_training_from: iteration, counted from 1, from which the network itself makes the
            pseudo labels; None for never.
        confidence: pixels whose pseudo label is less probable than this do not count; 0 for none.
        distill: weight of the distance to CLIP's features, with a teacher in "whole" mode.
        **options: of mmseg's `EncoderDecoder`; `decode_head` is of type `MaskClipPlusHead`.

    Raises:
        ConfigError: an index that no class has, or a setting out of its range.
    """

    def __init__(
        self,
        teacher: Mapping[str, Any],
        unseen: Sequence[int] | None = None,
        self_training_from: int | None = None,
        confidence: float = 0.0,
        distill: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        first = self.num_classes - len(self.decode_head.vocabulary.classes)
        self.unseen = list(range(first, self.num_classes) if unseen is None else unseen)
        wrong = [index for index in self.unseen if not 0 <= index < self.num_classes]
        if wrong or not 0 <= confidence <= 1:
            raise ConfigError(
                f"unseen classes {wrong}, confidence {confidence}" if wrong else f"{confidence}",
                where="model.unseen" if wrong else "model.confidence",
                expected=f"from 0 to {self.num_classes - 1}" if wrong else "from 0 to 1",
            )
        self.self_training_from = self_training_from
        self.confidence = confidence
        self.distill = distill
        self._teacher_spec = to_dict(teacher)
        self.teacher: Pipeline | None = None

    def prepare_teachers(self, device: torch.device) -> None:
        """Build the teacher, once, and let it encode the names.

        Raises:
            ConfigError: a wrong setting, or features of another width than CLIP's.
            CheckpointError: weights that cannot be had.
        """
        if self.teacher is None:
            teacher = build_pipeline(self._teacher_spec)
            teacher.clip.requires_grad_(False)
            self.use_teacher(teacher)
        cast("Pipeline", self.teacher).to(device)

    def use_teacher(self, teacher: Pipeline) -> None:
        """Take a teacher that is built already.

        Raises:
            ConfigError: features of another width than CLIP's.
        """
        head = self.decode_head
        if teacher.clip.embed_dim != head.channels:
            raise ConfigError(
                f"{head.channels} channels, and the teacher has {teacher.clip.embed_dim}",
                where="decode_head.channels",
                fix=f"set channels={teacher.clip.embed_dim}",
            )
        words = head.vocabulary
        text = class_vectors(teacher.text_embeddings(words), words.prompt_class, len(words.classes))
        head.text_embeddings.copy_(text)
        self.teacher = teacher

    @property
    def self_training(self) -> bool:
        """Whether this iteration's pseudo labels are the network's own."""
        done = MessageHub.get_current_instance().runtime_info.get("iter", 0)
        return self.self_training_from is not None and done + 1 >= self.self_training_from

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: (B, 3, H, W) as the preprocessor gives them.
            data_samples: with `gt_sem_seg`, or without for images that nobody has labeled.
        """
        self.prepare_teachers(inputs.device)
        teacher, head = cast("Pipeline", self.teacher), self.decode_head
        maps = self.extract_feat(inputs)
        features = head.features(maps)
        logits = head.classify(features)
        labels = hide(_labels(inputs, data_samples), self.unseen)
        size = size_of(labels)
        images = self.denormalize(inputs)
        if self.self_training:
            guess, sure = guess_of_network(logits.detach()[:, self.unseen], size)
        else:
            words = head.rows().detach()[self.unseen]
            guess, sure = guess_of_teacher(teacher, images, words, size)
        labels = ignore_rest(fill(labels, guess, self.unseen, sure, self.confidence))
        losses = self._losses(head, logits, labels)
        if self.distill:
            teacher_head = cast("WindowHead", teacher.head)
            seen = teacher_head.patch_features(teacher.clip, teacher.clip.run_backbone(images))
            losses["loss_distill"] = self.distill * distillation_loss(features, seen, labels)
        losses = add_prefix(losses, "decode")
        if self.with_auxiliary_head:
            aux = self.auxiliary_head
            losses.update(add_prefix(self._losses(aux, aux(maps), labels), "aux"))
        return losses

    def _losses(self, head: BaseDecodeHead, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return head.loss_by_feat(logits, [_Labeled(one) for one in labels])

    def denormalize(self, inputs: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [0, 1] from what the preprocessor gave."""
        steps = self.data_preprocessor
        if getattr(steps, "_enable_normalize", False):
            inputs = inputs * steps.std + steps.mean
        return inputs / 255


class _Labeled:
    """What `loss_by_feat` wants of a data sample."""

    def __init__(self, labels: Tensor) -> None:
        self.gt_sem_seg = self
        self.data = labels[None]


def _labels(inputs: Tensor, samples: Sequence[SegDataSample]) -> Tensor:
    """Labels (B, H, W) int64; images without any are unlabeled where they are not padding."""
    found = []
    for sample in samples:
        if "gt_sem_seg" in sample:
            found.append(sample.gt_sem_seg.data[0].long())
            continue
        labels = torch.full(inputs.shape[2:], IGNORE, device=inputs.device)
        height, width = sample.metainfo.get("img_shape", inputs.shape[2:])[:2]
        labels[:height, :width] = UNLABELED
        found.append(labels)
    return torch.stack(found)
