from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ovseg.errors import CheckpointError
from ovseg.models.clip import build_clip
from ovseg.weights.sources import asset_path, find_weights


def test_a_tag_knows_its_origin_and_activation() -> None:
    openai = find_weights("openai", "ViT-B-16")
    assert openai.quick_gelu is True
    assert openai.hub == "timm/vit_base_patch16_clip_224.openai"
    assert len(openai.sha256) == 64
    laion = find_weights("laion2b_s34b_b88k", "ViT-B-16")
    assert laion.quick_gelu is False
    assert find_weights("webli", "ViT-B-16-SigLIP").preprocess_cfg["mean"] == (0.5, 0.5, 0.5)


def test_a_file_goes_without_statements(tiny_clip_files) -> None:
    source = find_weights(tiny_clip_files[1], "ViT-B-16")
    assert (source.local(), source.quick_gelu) == (tiny_clip_files[1], None)


def test_a_file_put_there_by_hand(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    for name in ("own.pt", "../own.pt"):
        with pytest.raises(CheckpointError, match=r"no address.*get them from their authors"):
            find_weights(f"manual:{name}", "EVA02-B-16").local()
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/own.pt").touch()
    assert find_weights("manual:own.pt", "EVA02-B-16").local() == tmp_path / "weights/own.pt"


def test_an_address() -> None:
    assert find_weights("hf-hub:owner/name", "custom").hub == "owner/name"


def test_unknown_names_list_the_tags() -> None:
    with pytest.raises(CheckpointError, match="openai, .*laion2b_s34b_b88k"):
        find_weights("opnai", "ViT-B-16")
    with pytest.raises(CheckpointError, match="expected a file;"):
        find_weights("absent.pt", "custom")


@pytest.mark.parametrize("name", ["asset:../errors.py", "asset:absent", "asset:", "/etc/passwd"])
def test_assets_that_are_none(name: str) -> None:
    with pytest.raises(CheckpointError, match="no asset"):
        asset_path(name)


def test_offline_tag_opens_no_socket(tmp_path: Path, monkeypatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "socket", forbidden)
    with pytest.raises(CheckpointError) as caught:
        build_clip("ViT-L-14-quickgelu", "openai")
    message = str(caught.value)
    for words in (
        "timm/vit_large_patch14_clip_224.openai",
        "ViT-L-14.pt",
        "sha256 b8cca3fd",
        str(tmp_path / "weights"),
        "OVSEG_OFFLINE",
    ):
        assert words in message
