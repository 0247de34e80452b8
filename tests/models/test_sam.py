"""SAM through segment_anything: sources of the network and its weights, images, precision."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segment_anything import SamPredictor, sam_model_registry

from ovseg.errors import CheckpointError, ConfigError, InputError
from ovseg.models import sam as module
from ovseg.models.sam import SamEncoder, build_sam, build_sam_network, long_side_size
from ovseg.weights.download import SAM_FILES
from ovseg.zoo.weights import SAM_B, SAM_H
from tests.small_sam import SMALL


@pytest.fixture(scope="module")
def sam() -> SamEncoder:
    torch.manual_seed(0)
    return build_sam(SMALL, None)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_published_sizes_are_those_of_segment_anything(size: str) -> None:
    with torch.device("meta"):
        ours = build_sam_network(module._published(size)).state_dict()
        theirs = sam_model_registry[size]().state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_an_image_is_encoded_as_by_sams_own_predictor(sam: SamEncoder, image: np.ndarray) -> None:
    predictor = SamPredictor(sam.model)
    predictor.set_image(image)
    found = sam.encode(image)
    torch.testing.assert_close(found.embedding, predictor.get_image_embedding())
    assert found.size == image.shape[:2]
    assert found.scaled == tuple(predictor.input_size)


def test_sides_are_rounded_up_first(sam: SamEncoder, image: np.ndarray) -> None:
    ready = sam.prepare(image, 16)
    assert ready.size == (48, 64)
    assert ready.scaled == (48, 64)
    assert ready.pixels.shape == (1, 3, 64, 64)
    assert not ready.pixels[..., 48:, :].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (700, 1), (3, 2)])
def test_images_of_any_shape_have_finite_features(sam: SamEncoder, shape: tuple[int, int]) -> None:
    found = sam.encode(np.full((*shape, 3), 128, np.uint8))
    assert min(found.scaled) >= 1
    assert max(found.scaled) == 64
    assert torch.isfinite(found.embedding).all()


def test_no_image_is_refused(sam: SamEncoder) -> None:
    for bad in (np.zeros((4, 4)), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(InputError):
            sam.prepare(bad)


def test_the_long_side_is_rounded_as_sam_does() -> None:
    assert long_side_size((110, 145), 1024) == (777, 1024)
    assert long_side_size((145, 110), 1024) == (1024, 777)


def test_weights_come_from_pth_and_safetensors(
    sam: SamEncoder, image: np.ndarray, tmp_path: Path
) -> None:
    config = tmp_path / "small.json"
    config.write_text(json.dumps(SMALL))
    torch.save(sam.model.state_dict(), tmp_path / "a.pth")
    save_file(sam.model.state_dict(), tmp_path / "b.safetensors")
    for file in ("a.pth", "b.safetensors"):
        again = build_sam(config, tmp_path / file)
        assert again.name == "small"
        assert len(again.weights_hash) == 64
        assert not again.training
        torch.testing.assert_close(
            again.encode(image).embedding, sam.encode(image).embedding, atol=0, rtol=0
        )


def test_metas_file_is_fetched_with_its_digest() -> None:
    for pretrained in ("sa1b", SAM_FILES["vit_b"].url):
        assert module._find_weights(pretrained, "vit_b") == SAM_B
    assert SAM_FILES["vit_h"] == SAM_H


def test_absent_weights_say_where_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=r"sam_vit_b_01ec64\.pth.*375 MB"):
        build_sam("vit_b", "sa1b")
    with pytest.raises(CheckpointError, match=r"no such file.*sam_vit_h_4b8939\.pth"):
        build_sam("vit_h", "sam_vit_h.pth")


def test_a_file_of_another_size_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Width and depth of vit_b and vit_h, each with tiny inner parts.
    def of_width(width: int) -> dict:
        return {**SMALL, "image_encoder": {**SMALL["image_encoder"], "embed_dim": width}}

    file = tmp_path / "sam_vit_b_01ec64.pth"
    torch.save(build_sam_network(of_width(768)).state_dict(), file)
    monkeypatch.setattr(module, "_published", lambda size: of_width(module._SIZES[size][0]))
    with pytest.raises(CheckpointError) as error:
        build_sam("vit_h", file)
    for part in (file.name, "weights of vit_b", "model='vit_b'", "sam_vit_h_4b8939.pth"):
        assert part in str(error.value)


def test_damaged_and_foreign_files_are_refused(sam: SamEncoder, tmp_path: Path) -> None:
    file = tmp_path / "sam.pth"
    torch.save(sam.model.state_dict(), file)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="cut short"):
        build_sam(SMALL, file)
    torch.save({**sam.model.state_dict(), "mask_decoder.hf_token.weight": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match=r"left over mask_decoder\.hf_token"):
        build_sam(SMALL, file)


def test_unusable_models_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for model in ("vit_x", broken, tmp_path / "absent.json", {"image_encoder": {"depth": "two"}}):
        with pytest.raises(ConfigError):
            build_sam(model, None)
    with pytest.raises(ConfigError, match="precision"):
        build_sam(SMALL, None, precision="half")


def test_the_encoder_alone_runs_in_half_precision(image: np.ndarray) -> None:
    half = build_sam(SMALL, None, precision="bf16")
    assert half.dtype == torch.bfloat16
    assert half.model.mask_decoder.iou_token.weight.dtype == torch.float32
    assert half.encode(image).embedding.dtype == torch.float32


def test_vit_h_leaves_fp16_with_a_notice() -> None:
    huge = {**SMALL, "image_encoder": {**SMALL["image_encoder"], "embed_dim": 1280}}
    with pytest.warns(UserWarning, match="ViT-H gives garbage in fp16"):
        assert build_sam(huge, None, precision="fp16").dtype == torch.bfloat16
