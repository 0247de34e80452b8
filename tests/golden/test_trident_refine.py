"""SAM refinement against Trident's reference: prompts, masks, and the merged result."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ovseg.inference.decode import Decoded
from ovseg.pipeline import Pipeline
from ovseg.refine.prompts import find_prompts, half_labels, half_maps, mask_prompts
from ovseg.refine.sam import SamRefiner, ask
from tests.golden.conftest import cases, load_npz
from tests.golden.test_trident import Chain, chains

DEFAULTS = {
    "coarse_thresh": 0.1,
    "minimal_area": 225,
    "sam_mask_coff": 0.005,
    "sam_iou_thresh": 0.9,
}
SIDE, MASK_SIDE = 1024, 256


def prompt_cases() -> list[Any]:
    """Every sub-case of `prompts`, and every case of refinement from given probabilities."""
    found = []
    for path in cases("trident", "prompts"):
        for options in json.loads((path / "case.json").read_text()):
            arrays = path / f"{options['tag']}.npz"
            found.append(pytest.param(arrays, options, id=f"prompts-{options['tag']}"))
    for path in cases("trident", "refine_*"):
        options = json.loads((path / "case.json").read_text())["options"]
        found.append(pytest.param(path / "stages.npz", options, id=path.name))
    return found


@pytest.mark.parametrize(("arrays", "options"), prompt_cases())
def test_prompts(arrays: Path, options: dict[str, Any]) -> None:
    case, options = load_npz(arrays), DEFAULTS | options
    floor = options["coarse_thresh"]
    half = half_maps(torch.from_numpy(case["prob"]))
    labels = half_labels(case["coarse_pred"], half.amax(0).numpy(), floor)
    classes = len(case["prob"])
    np.testing.assert_array_equal(np.where(labels < 0, classes, labels), case["half_label"])

    found = find_prompts(labels, range(classes), half.numpy(), floor, options["minimal_area"])
    np.testing.assert_array_equal(found.classes, case["prompt_class"])
    np.testing.assert_array_equal(found.boxes, case["prompt_box_half"])
    np.testing.assert_array_equal(found.points, case["prompt_point_half"])
    np.testing.assert_array_equal(found.regions, case["region_map_half"])
    boxes, points = found.to_input(SIDE)
    np.testing.assert_allclose(boxes, case["prompt_box"].reshape(-1, 4), atol=1e-3, rtol=0)
    np.testing.assert_allclose(points, case["prompt_point"].reshape(-1, 2), atol=1e-3, rtol=0)

    asked = half[np.unique(found.classes)]
    size = case["coarse_pred"].shape
    masks = mask_prompts(asked, size, MASK_SIDE, options["sam_mask_coff"], floor).numpy()
    np.testing.assert_allclose(masks[:, ::8, ::8], case["mask_input_sub"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(masks.sum((1, 2)), case["mask_input_sum"], rtol=1e-3)
    if "mask_input_first" in case:
        np.testing.assert_allclose(masks[0], case["mask_input_first"], atol=1e-4, rtol=0)


@cache
@torch.no_grad()
def run(path: Path) -> SimpleNamespace:
    """Refine a case from its given probabilities, with everything on the way."""
    case, info = load_npz(path / "stages.npz"), json.loads((path / "case.json").read_text())
    options = DEFAULTS | info["options"]
    weights = path.parent / "weights" / f"sam_{info['sam']}"
    refiner = SamRefiner(
        weights.with_suffix(".json"),
        weights.with_suffix(".safetensors"),
        side_multiple=options["clip_stride"],
        **{name: options[name] for name in DEFAULTS},
    )
    image = cv2.cvtColor(cv2.imread(str(path / "image.png")), cv2.COLOR_BGR2RGB)
    prob = torch.from_numpy(case["prob"])
    coarse = case["coarse_pred"]
    scores = np.take_along_axis(case["prob"], coarse[None].astype(int), 0)[0]
    decoded = Decoded(coarse, scores)
    features = refiner.sam.encode(image, options["clip_stride"])
    prompts, masks = refiner._prompts(decoded, prob.__getitem__)
    answers = list(ask(refiner.sam, features, prompts, masks, "height"))
    return SimpleNamespace(
        case=case,
        info=info,
        decoded=decoded,
        features=features,
        low=torch.cat([low for _, low, _ in answers]),
        quality=torch.cat([quality for *_, quality in answers]),
        final=refiner.refine(image, decoded, prob.__getitem__),
    )


@pytest.mark.slow
@pytest.mark.parametrize("path", cases("trident", "refine_*"))
def test_masks(path: Path) -> None:
    found = run(path)
    assert found.features.size == tuple(found.info["sam_picture_hw"])
    tolerance = {"atol": 1e-4, "rtol": 0}
    np.testing.assert_allclose(found.quality, found.case["iou_pred"].reshape(-1), **tolerance)
    np.testing.assert_allclose(found.low[:, ::8, ::8], found.case["low_res_sub"], **tolerance)


def check_result(coarse: Decoded, ours: Decoded, case: dict, step: int, atol: float) -> None:
    """Compare labels, and scores where the reference has some; there is none without a mask."""
    final = case["final_pred"]
    assert ours.labels.dtype == coarse.labels.dtype
    assert (ours.labels == final).mean() >= 0.999
    part = (slice(None, None, step), slice(None, None, step))
    at = ours.labels[part].astype(int)
    scores = np.take_along_axis(case["final_scores_sub"], at[None], 0)[0]
    untouched = scores == 0
    mine = ours.scores[part]
    np.testing.assert_array_equal(mine[untouched], coarse.scores[part][untouched])
    same = ~untouched & (at == final[part])
    wrong = ~np.isclose(mine[same], scores[same], atol=atol, rtol=0)
    assert wrong.mean() <= (0 if atol < 1e-3 else 1e-3)


@pytest.mark.parametrize("path", cases("trident", "refine_*"))
def test_result(path: Path) -> None:
    found = run(path)
    check_result(found.decoded, found.final, found.case, found.info["keep_sub"], 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in chains() if "refine" in p.name])
def test_whole_chain(path: Path) -> None:
    chain = Chain(path)
    plain, options = chain.pipeline, DEFAULTS | chain.case["options"]
    weights = str(path.parent / "weights" / f"sam_{chain.case['sam']}")
    refiner = SamRefiner(
        f"{weights}.json",
        f"{weights}.safetensors",
        side_multiple=chain.patch,
        sam=plain.head.sam_tower,
        **{name: options[name] for name in DEFAULTS},
    )
    refined = Pipeline(
        plain.clip, plain.head, refiner=refiner, settings=plain.settings, cache_dir=None
    )
    coarse = plain(chain.image_np, chain.words)
    assert (coarse.labels == chain.arrays["coarse_pred"]).mean() >= 0.999
    ours = refined(chain.image_np, chain.words)
    # A cosine on a threshold of the correlation may flip with 64 x 64 patches.
    check_result(coarse, ours, chain.arrays, chain.case["keep_sub"], 1e-3)
