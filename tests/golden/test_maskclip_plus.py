"""One training step of MaskCLIP+ against the reference's arrays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

import ovseg.mm  # noqa: F401 - registers
from ovseg.heads import MaskClip
from ovseg.inference.windows import InferenceSettings
from ovseg.mm.training.maskclip_plus import MaskClipPlus
from ovseg.pipeline import Pipeline
from ovseg.training.maskclip_plus import distillation_loss, ignore_rest
from tests.golden.conftest import cases, load_npz
from tests.golden.test_maskclip_dinoiser import close, encoder
from tests.golden.test_maskclip_heads import HEADS

LOSSES = {"atol": 1e-4, "rtol": 0.0}
NORMS = {"atol": 1e-3, "rtol": 0.0}
TIES = 1e-3


@MODELS.register_module(force=True)
class GivenFeatures(nn.Module):
    """A backbone whose last map is given."""

    def forward(self, inputs: Tensor) -> list[Tensor]:
        return [self.given]


def steps(path: Path) -> list[tuple[str, int]]:
    """Settings and iterations that a case holds."""
    found = [re.fullmatch(r"(\w+)\.it(\d+)\.pseudo", name) for name in tensors_of(path)]
    return [(match[1], int(match[2])) for match in found if match]


def tensors_of(path: Path) -> dict[str, Tensor]:
    arrays = load_npz(path)
    return {
        name: array if array.dtype.kind == "U" else torch.from_numpy(array)
        for name, array in arrays.items()
    }


STEPS = [
    pytest.param(path, *step, id=f"{path.stem}-{step[0]}-{step[1]}")
    for path in cases("maskclip_dinoiser", "mcp_step*")
    for step in steps(path)
]


def student(path: Path, case: dict[str, Tensor], setting: str) -> MaskClipPlus:
    """The case's network with its weights, taught by the case's CLIP."""
    classes, width = case["text"].shape
    background = setting.startswith("zs")
    # README: K-2 to K of [background; text] with K classes; else all of them.
    unseen = [classes - 2, classes - 1, classes] if background else None
    model = MODELS.build(
        {
            "type": "mmseg.MaskClipPlus",
            "teacher": {},
            "unseen": unseen,
            "self_training_from": 2,
            "backbone": {"type": "mmseg.GivenFeatures"},
            "decode_head": {
                "type": "mmseg.MaskClipPlusHead",
                "channels": width,
                "vocabulary": [f"class {index}" for index in range(classes)],
                "learn_background": background,
                "decode_module": {
                    "type": "mmseg.DeepLabV2Head",
                    "in_channels": case["feat3"].shape[1],
                    "in_index": 0,
                    "norm_cfg": {"type": "BN"},
                },
            },
        }
    )
    model.backbone.given = case["feat3"]
    head = model.decode_head
    prefix = "w.decode_module."
    weights = {n.removeprefix(prefix): v for n, v in case.items() if n.startswith(prefix)}
    own = head.decode_module.state_dict()
    head.decode_module.load_state_dict({**own, **weights}, strict=True)
    assert {n for n, _ in head.decode_module.named_parameters()} == weights.keys()
    if background:
        head.bg_embeddings.data.copy_(case["bg_embeddings"])
    options = HEADS["_kspd"] if setting.startswith("kspd") else {}
    settings = InferenceSettings(short_side=None)
    clip = encoder(path.parent, "")
    model.teacher = Pipeline(clip, MaskClip(**options), settings=settings, cache_dir=None)
    head.text_embeddings.copy_(case["text"])
    mean, std = clip.mean, clip.std
    model.denormalize = lambda inputs: inputs * std + mean
    return model.train()


@pytest.mark.parametrize(("path", "setting", "iteration"), STEPS)
def test_step(path: Path, setting: str, iteration: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = tensors_of(path)
    step = f"{setting}.it{iteration}."
    wanted = {n.removeprefix(step): value for n, value in case.items() if n.startswith(step)}
    model = student(path, case, setting)
    if setting.startswith("distill"):
        check_distillation(model, case, setting, wanted)
        return
    hub = MessageHub.get_current_instance()
    monkeypatch.setitem(hub.runtime_info, "iter", iteration - 1)
    given = []
    losses_of = model._losses
    monkeypatch.setattr(
        model,
        "_losses",
        lambda head, logits, labels: (
            given.extend([logits, labels]) or losses_of(head, logits, labels)
        ),
    )
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=labels.long())) for labels in case[f"{setting}.gt"]
    ]
    losses = model.loss(case["image"], samples)
    logits, labels = given
    close(logits, wanted["logits"], LOSSES)
    differing = (labels != wanted["pseudo"][:, 0]).float().mean()
    assert differing <= TIES
    close(losses["decode.loss_ce"], wanted["loss_ce"][0], LOSSES)
    # The reference counts pixels that are ignored as wrong.
    counted = (labels != 255).float().mean()
    close(losses["decode.acc_seg"][0] * counted, wanted["acc_seg"][0], {"atol": 0.1, "rtol": 0.0})
    losses["decode.loss_ce"].backward()
    gradients = {n: p.grad.norm() for n, p in model.decode_head.named_parameters()}
    assert gradients.keys() == set(wanted["grad_names"].tolist())
    for name, norm in zip(wanted["grad_names"], wanted["grad_norms"], strict=True):
        close(gradients[str(name)], norm, NORMS)


def check_distillation(
    model: MaskClipPlus, case: dict[str, Tensor], setting: str, wanted: dict[str, Tensor]
) -> None:
    """The reference makes no pseudo labels here, and detaches the features: no gradient there."""
    labels = case[f"{setting}.gt"][:, 0].long()
    assert torch.equal(ignore_rest(labels), wanted["pseudo"][:, 0].long())
    features = model.decode_head.features([case["feat3"]])
    close(model.decode_head.classify(features), wanted["logits"], LOSSES)
    clip = model.teacher.clip
    with torch.no_grad():
        backbone_tokens = clip.run_backbone(model.denormalize(case["image"]))
    seen = model.teacher.head.patch_features(clip, backbone_tokens)
    loss = distillation_loss(features, seen, labels)
    close(loss, wanted["loss_distill"][0], LOSSES)
    loss.backward()
    assert all(p.grad.norm() > 0 for p in model.decode_head.decode_module.parameters())
