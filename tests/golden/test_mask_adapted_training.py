"""Training of mask-adapted CLIP and of its proposal network against the reference's arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ovseg.proposals.maskformer_head import MaskFormerHead
from ovseg.training.mask_losses import WEIGHTS, MaskTargets, mask_losses, match
from tests.golden.conftest import cases, load_npz

FAMILY = "mask_adapted"
FEATURES = {"atol": 1e-4, "rtol": 0.0}
LOGITS = {"atol": 1e-3, "rtol": 0.0}
GRADIENTS = {"atol": 1e-6, "rtol": 0.0}


def tensors(path: Path) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(np.asarray(value))
        for name, value in load_npz(path).items()
        if value.dtype.kind != "U"
    }


def close(found: Tensor, wanted: Tensor, tolerance: dict[str, float]) -> None:
    torch.testing.assert_close(found.detach(), wanted, **tolerance, check_dtype=False)


def proposal_head(folder: Path, heads: int) -> MaskFormerHead:
    """The head of the released layout; all its sizes are those of its tensors."""
    state = {
        name.removeprefix("sem_seg_head."): value
        for name, value in load_file(folder / "proposal_head.safetensors").items()
    }
    decoder = "predictor.transformer.decoder.layers."
    head = MaskFormerHead(
        [state[f"pixel_decoder.adapter_{i}.weight"].shape[1] for i in (1, 2, 3)]
        + [state["pixel_decoder.layer_4.weight"].shape[1]],
        state["predictor.class_embed.layers.1.weight"].shape[0],
        queries=len(state["predictor.query_embed.weight"]),
        width=state["predictor.query_embed.weight"].shape[1],
        layers=len({name.split(".")[4] for name in state if name.startswith(decoder)}),
        heads=heads,
        feedforward=len(state[f"{decoder}0.linear1.weight"]),
        class_hidden=len(state["predictor.class_embed.layers.0.weight"]),
    )
    head.load_state_dict(state)
    return head.eval()


@pytest.mark.parametrize("path", cases(FAMILY, "proposal_head"))
@torch.no_grad()
def test_proposal_head(path: Path) -> None:
    case = tensors(path)
    head = proposal_head(path.parent, int(case["num_heads"]))
    *earlier, last = head([case[f"res{level}"] for level in (2, 3, 4, 5)])
    close(last.embed[0], case["embed"], FEATURES)
    close(last.masks[0], case["masks"], LOGITS)
    close(torch.cat([each.embed for each in earlier]), case["aux_embed"], FEATURES)
    close(torch.cat([each.masks for each in earlier])[..., ::2, ::2], case["aux_masks"], LOGITS)


@pytest.mark.parametrize("path", cases(FAMILY, "proposal_loss"))
def test_proposal_loss(path: Path) -> None:
    case = tensors(path)
    targets = [
        MaskTargets(case[f"labels{i}"], case[f"masks{i}"].float())
        for i in range(len(case["pred_logits"]))
    ]
    logits, masks = (case[name].requires_grad_() for name in ("pred_logits", "pred_masks"))
    for place, target in enumerate(targets):
        found = torch.stack(match(logits[place], masks[place], target))
        assert torch.equal(found, case[f"match{place}"])
    count = sum(len(target.labels) for target in targets)
    main = mask_losses(logits, masks, targets, count)
    earlier = mask_losses(case["aux_logits"], case["aux_masks"], targets, count)
    for suffix, losses in (("", main), ("_0", earlier)):
        for name, golden in (("class", "ce"), ("mask", "mask"), ("dice", "dice")):
            close(losses[name], case[f"loss_{golden}{suffix}"], FEATURES)
    total = sum(WEIGHTS[name] * (main[name] + earlier[name]) for name in WEIGHTS)
    close(total, case["total"], FEATURES)
    total.backward()
    close(logits.grad, case["grad_logits"], GRADIENTS)
    close(masks.grad, case["grad_masks"], GRADIENTS)
