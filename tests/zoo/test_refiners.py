"""Short names of refiners, and what they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovseg.errors import CheckpointError, ConfigError
from ovseg.segmenter import load
from ovseg.zoo import model_entry
from ovseg.zoo.config_files import read_model_spec
from ovseg.zoo.refiners import REFINERS, refiner_spec, refiner_weights
from ovseg.zoo.weights import SAM_B

CONFIGS = Path(__file__).parents[2] / "configs" / "scenes"


def test_every_name_has_a_spec_of_its_own() -> None:
    for name in REFINERS:
        spec = refiner_spec(name)
        assert spec == REFINERS[name]
        assert spec is None or spec is not REFINERS[name]
    with pytest.raises(ConfigError, match="none, pamr, sam"):
        refiner_spec("crf")


def test_the_bundled_sam_goes_with_the_bundled_clip_only() -> None:
    tiny, real = (model_entry(name).spec for name in ("maskclip-tiny", "maskclip-vit-b16"))
    assert refiner_spec("sam", tiny)["model"] == "asset:sam_tiny.json"
    assert refiner_spec("sam", real)["model"] == "vit_b"
    assert refiner_weights(refiner_spec("sam", tiny)) == ()
    assert refiner_weights(refiner_spec("sam", real)) == (SAM_B,)
    assert refiner_weights(None) == refiner_weights(refiner_spec("pamr")) == ()


@pytest.mark.parametrize("name", ["clip_dinoiser_tiny_sam", "maskclip_tiny_sam"])
def test_configurations_of_the_drawn_world_say_the_same(name: str) -> None:
    spec = read_model_spec(CONFIGS / f"{name}.py")
    assert spec["refiner"] == refiner_spec("sam", {"backbone": spec["backbone"]})


def test_settings_that_a_model_has_stay() -> None:
    own = {"type": "SamRefiner", "model": "vit_b", "pretrained": "sa1b", "coarse_thresh": 0.15}
    model = {"refiner": own}
    assert refiner_spec("sam", model) == own
    assert refiner_spec("sam", model) is not own
    assert refiner_spec("none", model) is None
    assert refiner_spec("pamr", model) == REFINERS["pamr"]


def test_absent_weights_of_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    with pytest.raises(CheckpointError) as error:
        load("maskclip-vit-b16", device="cpu", refine="sam")
    for part in ("sam_vit_b_01ec64.pth", "SAM ViT-B (375 MB", "OpenAI CLIP ViT-B/16 (335 MB"):
        assert part in str(error.value)
