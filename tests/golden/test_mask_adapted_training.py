"""Training of mask-adapted CLIP and of its proposal network against the reference's arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from safetensors.torch import load_file
from torch import Tensor

import ovseg.mm  # noqa: F401 - registers
from ovseg.mm.training.mask_adaptation import ClipContrastiveModel
from ovseg.models.maskformer_head import MaskFormerHead
from ovseg.training.mask_adaptation import kept_pixels
from ovseg.training.mask_losses import WEIGHTS, MaskTargets, mask_losses, match
from tests.golden.conftest import cases, load_npz

# isort: split
from mmseg.registry import PARAM_SCHEDULERS

CONFIGS = Path(__file__).parents[2] / "configs" / "mask_adapted"
FULL, PROMPTS = (f"mask_adapted_vit_l14_coco_captions_{name}.py" for name in ("ft", "mpt"))
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


def adapted_clip(folder: Path, trained: str) -> ClipContrastiveModel:
    """The model of `ovseg train` with the weights that the reference's run starts from."""
    backbone = {"type": "ClipBackbone", "model": str(folder / "clip.json"), "pretrained": None}
    visual = load_file(folder / "clip_visual.safetensors")
    prompts = visual.pop("visual.mask_embedding").float()
    state = visual | load_file(folder / "clip_text.safetensors")
    model = ClipContrastiveModel(backbone, trained, depth=len(prompts))
    model.adaptation.clip.model.load_state_dict({k: v.float() for k, v in state.items()})
    if trained == "prompts":
        model.adaptation.mask_embedding.data.copy_(prompts)
    return model


def schedule(config: Config, wrapper: OptimWrapper, warmup: int, total: int) -> list[object]:
    """The schedulers of a configuration, with the reference run's numbers of steps."""
    first, second = config.param_scheduler
    first.end = second.begin = warmup
    second.end = total
    return [
        PARAM_SCHEDULERS.build(each, default_args={"optimizer": wrapper})
        for each in (first, second)
    ]


def optimizer(name: str, model: ClipContrastiveModel, first_rate: Tensor) -> tuple:
    """AdamW and the schedulers of one of our configurations, with the reference run's base rate."""
    config = Config.fromfile(CONFIGS / name)
    config.optim_wrapper.optimizer.lr = float(first_rate) * config.param_scheduler[0].end
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    return wrapper, schedule(config, wrapper, config.param_scheduler[0].end, 1000)


def rate_of(wrapper: OptimWrapper) -> float:
    return wrapper.param_groups[0]["lr"]


def batch_of(path: Path) -> tuple[dict[str, object], Tensor]:
    """The reference's batch as our data set gives it, and its token ids."""
    case = load_npz(path)
    images = torch.from_numpy(case["images_u8"]).permute(0, 3, 1, 2)
    masks, titles = torch.from_numpy(case["masks"]), case["captions"].tolist()
    return {"inputs": images, "mask": masks, "title": titles}, torch.from_numpy(case["tokens"])


def take_step(
    model: ClipContrastiveModel, batch: dict[str, object], wrapper: OptimWrapper
) -> Tensor:
    """Step by mmengine's own code, keeping the gradients; return the loss."""
    step, wrapper.zero_grad = wrapper.zero_grad, lambda **_: None
    step()
    try:
        return model.train_step(batch, wrapper)["loss"].detach()
    finally:
        wrapper.zero_grad = step


def trained_names(model: ClipContrastiveModel) -> dict[str, Tensor]:
    """Trained parameters by their names in the reference."""
    return {
        name.removeprefix("adaptation.").removeprefix("clip.model."): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


@pytest.mark.parametrize("path", cases(FAMILY, "train_mask_prompt"))
def test_prompt_steps(path: Path) -> None:
    case, (batch, tokens) = tensors(path), batch_of(path)
    model = adapted_clip(path.parent, "prompts")
    names = {"mask_embedding": "visual.mask_embedding"}
    found = trained_names(model)
    assert {names.get(name, name) for name in found} == set(load_npz(path)["trainable"])
    clip, prompts = model.adaptation.clip, model.adaptation.mask_embedding
    assert torch.equal(clip.tokenize(batch["title"]), tokens)
    wrapper, schedulers = optimizer(PROMPTS, model, case["lr"][0])
    for step in range(len(case["loss"])):
        close(torch.tensor(rate_of(wrapper)), case["lr"][step], GRADIENTS)
        close(clip.model.logit_scale.exp(), case["scale"][step], FEATURES)
        if step == 0:
            seen = model.adaptation.embed(batch["inputs"], batch["mask"])
            words = torch.nn.functional.normalize(clip.encode_text(tokens), dim=-1)
            close(seen, case["image_feat0"], FEATURES)
            close(words, case["text_feat0"], FEATURES)
        close(take_step(model, batch, wrapper), case["loss"][step], FEATURES)
        close(prompts.grad.norm(), case["grad_norm"][step], FEATURES)
        close(clip.model.logit_scale.grad, case["grad_logit_scale"][step], FEATURES)
        if step == 0:
            close(prompts.grad, case["grad_mask_embedding0"], {"atol": 1e-5, "rtol": 0.0})
        for each in schedulers:
            each.step()
        close(prompts, case[f"mask_embedding_after{step}"], FEATURES)
        close(clip.model.logit_scale, case["logit_scale_after"][step], FEATURES)


@pytest.mark.parametrize("path", cases(FAMILY, "train_full"))
def test_full_steps(path: Path) -> None:
    case, names = tensors(path), load_npz(path)
    batch, _ = batch_of(path.parent / "train_mask_prompt.npz")
    model = adapted_clip(path.parent, "tower")
    wrapper, schedulers = optimizer(FULL, model, case["lr"][0])
    found = trained_names(model)
    check_decay(found, wrapper, names)
    start = {name: parameter.detach().clone() for name, parameter in found.items()}
    for step in range(len(case["loss"])):
        close(torch.tensor(rate_of(wrapper)), case["lr"][step], GRADIENTS)
        close(model.adaptation.clip.model.logit_scale.exp(), case["scale"][step], FEATURES)
        if step == 0:
            close(
                model.adaptation.embed(batch["inputs"], batch["mask"]),
                case["image_feat0"],
                FEATURES,
            )
        close(take_step(model, batch, wrapper), case["loss"][step], FEATURES)
        if step == 0:
            for name, norm in zip(names["grad_keys"], case["grad_norms"], strict=True):
                close(found[str(name)].grad.norm(), norm, FEATURES)
            close(found["visual.proj"].grad, case["grad_proj0"], FEATURES)
            close(found["visual.class_embedding"].grad, case["grad_class_embedding0"], FEATURES)
        for each in schedulers:
            each.step()
    for name in ("proj", "class_embedding"):
        change = found[f"visual.{name}"] - start[f"visual.{name}"]
        close(change, case[f"delta_{name}"], {"atol": 5e-7, "rtol": 0.0})


def check_decay(
    found: dict[str, Tensor], wrapper: OptimWrapper, names: dict[str, np.ndarray]
) -> None:
    """Matrices decay at 0.2, everything else does not."""
    by_id = {id(parameter): name for name, parameter in found.items()}
    for name in ("decay", "nodecay"):
        rate = 0.2 if name == "decay" else 0.0
        groups = [g for g in wrapper.optimizer.param_groups if g["weight_decay"] == rate]
        assert {by_id[id(p)] for g in groups for p in g["params"]} == set(names[name])


@pytest.mark.parametrize("path", cases(FAMILY, "train_misc"))
def test_schedule_and_blank_color(path: Path) -> None:
    case = load_npz(path)
    for name in ("crop", "resized"):
        assert np.array_equal(kept_pixels(case[f"{name}_u8"]), case[f"{name}_mask"].astype(bool))
    parameter = torch.nn.Parameter(torch.zeros(1))
    wrapper = OptimWrapper(torch.optim.SGD([parameter], lr=float(case["lr_base"])))
    total, config = int(case["lr_total"]), Config.fromfile(CONFIGS / PROMPTS)
    schedulers = schedule(config, wrapper, int(case["lr_warmup"]), total)
    rates = []
    for _ in range(total):
        rates.append(rate_of(wrapper))
        wrapper.step()
        for each in schedulers:
            each.step()
    np.testing.assert_allclose(np.array(rates)[case["lr_steps"]], case["lr"], atol=1e-9, rtol=1e-6)
