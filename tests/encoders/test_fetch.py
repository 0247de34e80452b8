from __future__ import annotations

import hashlib
import io
import socket
import urllib.error
import urllib.request
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from ovseg.encoders.fetch import Remote, cache_root, fetch, parse_remote
from ovseg.errors import CheckpointError

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
URL = "https://example.org/models/w.pt"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("OVSEG_CACHE", str(tmp_path))
    monkeypatch.delenv("OVSEG_OFFLINE", raising=False)
    return tmp_path


@pytest.fixture
def offline(monkeypatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)


@pytest.fixture
def web(monkeypatch) -> list[str]:
    """Answers every address with CONTENT; the list holds what was asked for."""
    asked = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(CONTENT)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return asked


def test_a_url_is_fetched_once(cache: Path, web: list[str]) -> None:
    remote = Remote(url=URL, sha256=DIGEST)
    path = fetch(remote)
    assert path == cache / "weights" / "w.pt"
    assert path.read_bytes() == CONTENT
    assert fetch(remote) == path
    assert web == [URL]
    assert [p.name for p in path.parent.iterdir()] == ["w.pt"]


def test_a_download_with_another_digest_is_set_aside(cache: Path, web: list[str]) -> None:
    with pytest.raises(CheckpointError, match="SHA-256") as caught:
        fetch(Remote(url=URL, sha256="00" * 32))
    assert "00" * 32 in str(caught.value)
    assert [p.name for p in (cache / "weights").iterdir()] == ["w.pt.bad"]


def test_a_file_put_there_by_hand_with_another_digest_is_left_alone(cache: Path) -> None:
    (cache / "weights").mkdir()
    (cache / "weights" / "w.pt").write_bytes(b"other")
    with pytest.raises(CheckpointError, match="SHA-256"):
        fetch(Remote(url=URL, sha256=DIGEST))
    assert (cache / "weights" / "w.pt").read_bytes() == b"other"


def test_no_network(cache: Path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(CheckpointError, match="no route to host") as caught:
        fetch(Remote(url=URL))
    assert str(cache / "weights" / "w.pt") in str(caught.value)
    assert list((cache / "weights").iterdir()) == []


@pytest.mark.parametrize(
    "remote",
    [
        Remote(url=URL, sha256=DIGEST, size="335 MB"),
        Remote(hub="owner/name", url=URL, sha256=DIGEST, size="335 MB"),
    ],
)
def test_offline_and_not_here(remote: Remote, offline: None) -> None:
    with pytest.raises(CheckpointError) as caught:
        fetch(remote)
    message = str(caught.value)
    for words in (URL, "335 MB", DIGEST, str(remote.target()), "OVSEG_OFFLINE", remote.hub or ""):
        assert words in message


def test_offline_and_here(cache: Path, offline: None) -> None:
    remote = Remote(hub="owner/name")
    path = cache / "weights" / "owner--name" / "open_clip_model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert fetch(remote) == path


def test_the_hub_is_asked_for_one_name_after_the_other(tmp_path: Path, monkeypatch) -> None:
    def download(repo: str, file: str, *, local_files_only: bool) -> str:
        assert not local_files_only
        if file.endswith(".safetensors"):
            raise EntryNotFoundError("404")
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert fetch(Remote(hub="owner/name")).name == "open_clip_pytorch_model.bin"


def test_the_hub_cannot_be_reached(monkeypatch) -> None:
    def download(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("cannot connect")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(CheckpointError, match="cannot connect.*owner/name"):
        fetch(Remote(hub="owner/name"))


@pytest.mark.parametrize(
    "text",
    [
        "hf-hub:owner/../name",
        "hf-hub:owner",
        "hf-hub:../../etc/passwd",
        "hf-hub:owner/na me",
        "http://example.org/w.pt",
        "file:///etc/passwd",
        "https://example.org/../../w.pt",
        "https://example.org/",
    ],
)
def test_names_that_leave_their_place_are_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match="unusable"):
        parse_remote(text)


def test_parse() -> None:
    assert parse_remote("weights.pt") is None
    assert parse_remote("hf-hub:o/n/sub/f.safetensors").files == ("sub/f.safetensors",)
    openai = parse_remote(f"https://openaipublic.azureedge.net/clip/models/{DIGEST}/ViT-B-16.pt")
    assert openai.sha256 == DIGEST
    assert openai.target() == cache_root() / "weights" / "ViT-B-16.pt"
