from __future__ import annotations

import json
from pathlib import Path

import pytest

from ovseg.errors import ConfigError
from ovseg.models.model_config import read_model_config, resolve_normalization
from tests.conftest import TINY_CLIP


def test_names_files_and_dicts(tiny_clip_files) -> None:
    assert read_model_config("ViT-B-16-quickgelu").quick_gelu
    assert not read_model_config("ViT-B-16").quick_gelu
    assert read_model_config(tiny_clip_files[0]).name == "tiny"
    assert read_model_config(str(tiny_clip_files[0])).model_cfg == TINY_CLIP
    assert read_model_config("asset:clip_tiny") == read_model_config("asset:clip_tiny.json")
    wrapped = {"model_cfg": TINY_CLIP, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3]}}
    config = read_model_config(wrapped)
    assert config.model_cfg == TINY_CLIP
    assert config.preprocess_cfg == {"mean": [0.1, 0.2, 0.3]}


def test_a_configuration_is_a_copy() -> None:
    config = read_model_config(TINY_CLIP)
    config.model_cfg["vision_cfg"]["layers"] = 99
    assert TINY_CLIP["vision_cfg"]["layers"] == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "not JSON"), ("[]", "not a JSON object"), ('{"embed_dim": 3}', "lacks text_cfg")],
)
def test_bad_files(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        read_model_config(path)


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match="ViT-B-16"):
        read_model_config("ViT-B16")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_model_config("absent.json")


def test_unknown_arguments_of_a_model() -> None:
    from ovseg.models.clip import build_clip

    with pytest.raises(ConfigError, match="cannot build"):
        build_clip(json.loads(json.dumps(TINY_CLIP)) | {"depth": 3}, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vision_cfg": None}, "None as vision_cfg"),
        ({"text_cfg": [1]}, r"\[1\] as text_cfg"),
        ({"model_cfg": None}, "lacks embed_dim"),
        ({"preprocess_cfg": 3}, "3 as preprocess_cfg"),
        ({"embed_dim": "wide"}, "cannot build"),
        ({"vision_cfg": TINY_CLIP["vision_cfg"] | {"patch_size": 0}}, "cannot build"),
    ],
)
def test_unusable_values(change: dict, words: str) -> None:
    from ovseg.models.clip import build_clip

    with pytest.raises(ConfigError, match=words):
        build_clip(TINY_CLIP | change, None)


@pytest.mark.parametrize("model", [None, 3, ["ViT-B-16"]])
def test_neither_name_nor_configuration(model: object) -> None:
    with pytest.raises(ConfigError, match="a name of open_clip, a JSON file or a dict"):
        read_model_config(model)


def test_no_statement_about_preprocessing() -> None:
    config = read_model_config({"model_cfg": TINY_CLIP, "preprocess_cfg": None})
    assert config.preprocess_cfg == {}


def test_normalization() -> None:
    clip = resolve_normalization("clip", {"mean": (0.5,) * 3})
    assert clip[0] == (0.48145466, 0.4578275, 0.40821073)
    assert resolve_normalization("model", {}) == clip
    assert resolve_normalization("model", {"mean": (0.5,) * 3})[0] == (0.5, 0.5, 0.5)
    assert resolve_normalization(([0, 0, 0], [1, 1, 1]), {}) == ((0.0,) * 3, (1.0,) * 3)
    assert resolve_normalization("imagenet", {})[1] == (0.229, 0.224, 0.225)


@pytest.mark.parametrize("wrong", ["openai", ((0.5,), (0.5,)), ((0, 0, 0), (1, 1, 0)), 3, None])
def test_wrong_normalization(wrong: object) -> None:
    with pytest.raises(ConfigError, match="normalization"):
        resolve_normalization(wrong, {})
