"""Fetching weight files: from a hub repository or a URL, or not at all when offline."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ovseg.errors import CheckpointError

__all__ = ["Remote", "by_hand", "cache_root", "fetch", "is_offline", "parse_remote", "sha256"]

log = logging.getLogger(__name__)

CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TIMM_FILES = ("model.safetensors", "pytorch_model.bin")
_CHUNK = 1 << 20


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def is_offline() -> bool:
    """Whether OVSEG_OFFLINE forbids to open a socket."""
    return os.environ.get("OVSEG_OFFLINE", "") not in ("", "0")


def cache_root() -> Path:
    """Folder of everything that is kept between runs: OVSEG_CACHE, else ~/.cache/ovseg."""
    return Path(os.environ.get("OVSEG_CACHE") or "~/.cache/ovseg").expanduser()


def by_hand(name: str) -> Path:
    """Where a file of weights that cannot be fetched is put by hand."""
    return cache_root() / "weights" / name


@dataclass(frozen=True)
class Remote:
    """A file that lies elsewhere: in a hub repository, at a URL, or at both.

    Attributes:
        hub: repository OWNER/NAME of the Hugging Face hub.
        files: names inside the repository, the preferred one first.
        url: https address, used where there is no hub repository.
        sha256: published digest, or its first digits.
        size: size for people, for example "335 MB".
    """

    hub: str | None = None
    files: tuple[str, ...] = CLIP_FILES
    url: str | None = None
    sha256: str | None = None
    size: str | None = None

    def target(self) -> Path:
        """Where the file may be put by hand; downloads by URL go there too."""
        folder = cache_root() / "weights"
        if self.hub:
            return folder / self.hub.replace("/", "--") / self.files[0]
        # Files of many origins share a name; the mark keeps one from passing for another.
        mark = hashlib.sha256((self.url or "").encode()).hexdigest()[:8]
        return folder / f"{mark}-{Path(urlsplit(self.url or '').path).name}"

    def describe(self) -> str:
        """Origin, size and digest in one line."""
        parts = [f"hub {self.hub} ({self.files[0]})"] if self.hub else []
        parts += [part for part in (self.url, self.size) if part]
        return ", ".join(parts + ([f"sha256 {self.sha256}"] if self.sha256 else []))


_SAM = "https://dl.fbaipublicfiles.com/segment_anything"

SAM_FILES = {
    "vit_b": Remote(
        url=f"{_SAM}/sam_vit_b_01ec64.pth",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        size="375 MB",
    ),
    "vit_l": Remote(
        url=f"{_SAM}/sam_vit_l_0b3195.pth",
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        size="1.2 GB",
    ),
    "vit_h": Remote(
        url=f"{_SAM}/sam_vit_h_4b8939.pth",
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        size="2.6 GB",
    ),
}
"""Meta's weights of SAM, by the size of the picture encoder."""


def parse_remote(text: str) -> Remote | None:
    """Read "https://..." or "hf-hub:OWNER/NAME[/FILE]"; None for anything else.

    Raises:
        CheckpointError: an address that is not https, or a name with `..` or odd letters.

    Example:
        >>> parse_remote("hf-hub:laion/CLIP-ViT-B-16-laion2B-s34B-b88K").hub
        'laion/CLIP-ViT-B-16-laion2B-s34B-b88K'
    """
    if text.startswith("hf-hub:"):
        parts = text.removeprefix("hf-hub:").strip("/").split("/")
        odd = [p for p in parts if not re.fullmatch(r"[\w.-]+", p) or set(p) == {"."}]
        if len(parts) < 2 or odd:
            raise CheckpointError(
                f"unusable hub name {text!r}",
                expected="hf-hub:OWNER/NAME or hf-hub:OWNER/NAME/FILE",
            )
        files = ("/".join(parts[2:]),) if len(parts) > 2 else CLIP_FILES
        return Remote(hub="/".join(parts[:2]), files=files)
    if "://" not in text:
        return None
    address = urlsplit(text)
    name = Path(address.path).name
    if address.scheme != "https" or ".." in address.path.split("/") or not name:
        raise CheckpointError(
            f"unusable address {text!r}", expected="https://HOST/.../FILE without `..`"
        )
    return Remote(url=text, sha256=published_digest(text))


def published_digest(url: str) -> str | None:
    """Digest that OpenAI and open_clip write into their addresses."""
    if "openaipublic" in url:
        return url.split("/")[-2]
    if "mlfoundations/open_clip" in url:
        return Path(urlsplit(url).path).stem.rpartition("-")[2]
    return None


def fetch(remote: Remote) -> Path:
    """Local copy of a remote file; with OVSEG_OFFLINE=1 only what is here already.

    Looks at `remote.target()`, then in the hub's own cache, then downloads.

    Raises:
        CheckpointError: offline and not here, the download fails, or the digest is another one.
    """
    target = remote.target()
    if target.is_file():
        # The published digest belongs to the file behind the URL, not to the hub's copy of it.
        if remote.hub is None:
            _check_digest(target, remote)
        return target
    if remote.hub is not None:
        return _from_hub(remote)
    if is_offline():
        raise _offline(remote)
    return _download(remote, target)


def _offline(remote: Remote) -> CheckpointError:
    return CheckpointError(
        f"weights are not here and OVSEG_OFFLINE=1 forbids to fetch them: {remote.describe()}",
        where=remote.target(),
        fix="fetch the file elsewhere and put it there, or give its path; "
        "`-m maskclip-tiny` is the offline demo",
    )


def _unreachable(remote: Remote, error: Exception) -> CheckpointError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return CheckpointError(
        f"weights cannot be fetched ({reason}): {remote.describe()}",
        where=remote.target(),
        fix="check the network, or put the file there by hand, or give its path; "
        "`-m maskclip-tiny` is the offline demo",
    )


def _from_hub(remote: Remote) -> Path:
    offline = is_offline()
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    last: Exception = FileNotFoundError("no such file in the repository")
    for file in remote.files:
        try:
            return Path(hf_hub_download(remote.hub, file, local_files_only=offline))
        except EntryNotFoundError as error:
            last = error
        except (OSError, ValueError) as error:
            last = error
            break
    raise (_offline(remote) if offline else _unreachable(remote, last)) from last


def _download(remote: Remote, target: Path) -> Path:
    log.warning("fetching %s to %s", remote.describe(), target)
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, suffix=".part")
        part = Path(name)
        with os.fdopen(handle, "wb") as file:
            _copy(str(remote.url), file)
        if not _matches(part, remote.sha256):
            bad = target.with_name(target.name + ".bad")
            os.replace(part, bad)
            raise _wrong_digest(bad, remote)
        os.replace(part, target)
    except (HTTPException, OSError, ValueError) as error:
        raise _unreachable(remote, error) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return target


def _copy(url: str, file: IO[bytes]) -> None:
    # `parse_remote` and open_clip's tables admit https only.
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
        size = answer.headers.get("Content-Length")
    if size is not None and file.tell() != int(size):
        raise OSError(f"cut off at {file.tell()} of {size} bytes")


def _matches(path: Path, digest: str | None) -> bool:
    return digest is None or sha256(path).startswith(digest)


def _check_digest(path: Path, remote: Remote) -> None:
    if not _matches(path, remote.sha256):
        raise _wrong_digest(path, remote)


def _wrong_digest(path: Path, remote: Remote) -> CheckpointError:
    return CheckpointError(
        f"the SHA-256 of this file is not the published one ({path.stat().st_size} bytes)",
        where=path,
        expected=f"sha256 {remote.sha256}",
        fix=f"remove the file and fetch it again from {remote.url}",
    )
