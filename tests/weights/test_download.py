from __future__ import annotations

import hashlib
import http.client
import io
import os
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from ovseg.errors import CheckpointError
from ovseg.weights import download
from ovseg.weights.download import Weights, cache_root, is_offline, parse_remote

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
URL = "https://example.org/models/w.pt"


class Answer(io.BytesIO):
    """What a server sends: the content, and the size that it promised."""

    def __init__(self, content: bytes, size: int | None = None) -> None:
        super().__init__(content)
        self.headers = {"Content-Length": str(size or len(content))}


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

    def answer(url: str, timeout: float) -> Answer:
        asked.append(url)
        return Answer(CONTENT)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return asked


def test_a_url_is_fetched_once(cache: Path, web: list[str]) -> None:
    remote = Weights(url=URL, sha256=DIGEST)
    path = remote.local()
    assert path == remote.target()
    assert path.read_bytes() == CONTENT
    assert remote.local() == path
    assert web == [URL]
    assert list((cache / "weights").iterdir()) == [path]


def test_files_of_one_name_from_two_origins_are_kept_apart(web: list[str]) -> None:
    urls = [URL, "https://example.com/w.pt", URL + "?version=2"]
    paths = {Weights(url=url).local() for url in urls}
    assert len(paths) == 3
    assert web == urls
    assert all(path.name.endswith("-w.pt") for path in paths)


def test_a_download_that_is_cut_off_is_not_kept(cache: Path, monkeypatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer(CONTENT, 9000))
    with pytest.raises(CheckpointError, match="cut off at 7 of 9000 bytes"):
        Weights(url=URL).local()
    assert list((cache / "weights").iterdir()) == []


@pytest.mark.parametrize("error", [http.client.IncompleteRead(b""), UnicodeError("odd address")])
def test_other_failures_of_a_download(monkeypatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(CheckpointError, match="cannot be fetched"):
        Weights(url=URL).local()


def test_a_cache_that_cannot_be_written(cache: Path, web: list[str]) -> None:
    (cache / "weights").write_text("a file where the folder should be")
    with pytest.raises(CheckpointError, match="cannot be fetched"):
        Weights(url=URL).local()


def test_the_cache_may_be_named_from_home(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OVSEG_CACHE", "~/kept")
    assert cache_root() == tmp_path / "kept"
    monkeypatch.setenv("OVSEG_CACHE", "")
    assert cache_root() == tmp_path / ".cache" / "ovseg"


def test_a_download_with_another_digest_is_not_kept(cache: Path, web: list[str]) -> None:
    with pytest.raises(CheckpointError, match="SHA-256") as caught:
        Weights(url=URL, sha256="00" * 32).local()
    assert "00" * 32 in str(caught.value)
    assert list((cache / "weights").iterdir()) == []


def test_a_file_put_there_by_hand_with_another_digest_is_left_alone(cache: Path) -> None:
    remote = Weights(url=URL, sha256=DIGEST)
    remote.target().parent.mkdir()
    remote.target().write_bytes(b"other")
    with pytest.raises(CheckpointError, match="SHA-256"):
        remote.local()
    assert remote.target().read_bytes() == b"other"


def test_no_network(cache: Path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(CheckpointError, match="no route to host") as caught:
        Weights(url=URL).local()
    assert str(Weights(url=URL).target()) in str(caught.value)
    assert list((cache / "weights").iterdir()) == []


@pytest.mark.parametrize(
    "remote",
    [
        Weights(url=URL, sha256=DIGEST, size="335 MB"),
        Weights(hub="owner/name", url=URL, sha256=DIGEST, size="335 MB"),
    ],
)
def test_offline_and_not_here(remote: Weights, offline: None) -> None:
    with pytest.raises(CheckpointError) as caught:
        remote.local()
    message = str(caught.value)
    for words in (URL, "335 MB", DIGEST, str(remote.target()), "OVSEG_OFFLINE", remote.hub or ""):
        assert words in message


@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("true", True), ("YES", True), ("", False), ("0", False), ("False", False)],
)
def test_words_for_offline(monkeypatch, value: str, offline: bool) -> None:
    monkeypatch.setenv("OVSEG_OFFLINE", value)
    assert is_offline() is offline


def test_one_function_reads_the_word_for_offline() -> None:
    """Whoever opens a socket asks `is_offline`; so one spelling cannot bind some of them only."""
    package = Path(download.__file__).parents[1]
    readers = re.compile(r"""(environ|getenv)\W+(get\W+)?OVSEG_OFFLINE""")
    found = [p for p in package.rglob("*.py") if readers.search(p.read_text(encoding="utf-8"))]
    assert found == [Path(download.__file__)]


def test_what_the_hub_has_kept_is_found(tmp_path: Path, offline: None, monkeypatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    weights = Weights(hub="owner/name")
    assert weights.path() is None
    folder = tmp_path / "hub" / "models--owner--name"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    file = folder / "snapshots" / ("0" * 40) / "open_clip_pytorch_model.bin"
    file.write_bytes(CONTENT)
    assert weights.path() == weights.local() == file


def test_offline_leaves_the_environment_as_it_is(offline: None, monkeypatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(CheckpointError, match="OVSEG_OFFLINE"):
        Weights(hub="owner/name").local()
    assert "HF_HUB_OFFLINE" not in os.environ


def test_offline_and_here(cache: Path, offline: None) -> None:
    remote = Weights(hub="owner/name")
    path = cache / "weights" / "owner--name" / "open_clip_model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert remote.local() == path


def test_the_hub_is_asked_for_one_name_after_the_other(tmp_path: Path, monkeypatch) -> None:
    def download(repo: str, file: str, *, local_files_only: bool) -> str:
        assert not local_files_only
        if file.endswith(".safetensors"):
            raise EntryNotFoundError("404")
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert Weights(hub="owner/name").local().name == "open_clip_pytorch_model.bin"


def test_the_hub_cannot_be_reached(monkeypatch) -> None:
    def download(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("cannot connect")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(CheckpointError, match="cannot connect.*owner/name"):
        Weights(hub="owner/name").local()


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
    assert openai.target().parent == cache_root() / "weights"
