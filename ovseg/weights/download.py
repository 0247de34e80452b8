"""Files of weights: where each is, here or elsewhere, and how it is fetched."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import urllib.request
import uuid
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from ovseg.errors import CheckpointError

__all__ = ["Weights", "cache_root", "is_offline", "parse_remote", "sha256"]

log = logging.getLogger(__name__)

ASSETS = Path(__file__).resolve().parent.parent / "assets"
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
    """Whether OVSEG_OFFLINE forbids to open a socket: unless it is empty, 0, false, no or off."""
    value = os.environ.get("OVSEG_OFFLINE", "").strip().lower()
    return value not in ("", "0", "false", "no", "off")


def cache_root() -> Path:
    """Folder of everything that is kept between runs: OVSEG_CACHE, else ~/.cache/ovseg."""
    return Path(os.environ.get("OVSEG_CACHE") or "~/.cache/ovseg").expanduser()


@dataclass(frozen=True)
class Weights:
    """One file of weights: what it is, where it is, and what its origin states.

    It is `file`, an `asset`, or a file to fetch from a `hub` repository or a `url`. One that has
    none of these is put into the cache by hand, under the first name of `files`.

    Attributes:
        name: what it is, for people.
        license: license of the weights.
        size: size of the file for people, for example "335 MB".
        file: the file, where somebody has named one on this machine.
        asset: file name under `ovseg/assets`, when it comes with the package.
        tag: tag of open_clip, timm or segment-anything that names these weights.
        hub: repository OWNER/NAME of the Hugging Face hub.
        files: names inside the repository, the preferred one first.
        url: https address of the file as first published, used where there is no repository.
        page: where its authors offer a file that has no address of its own.
        sha256: published SHA-256 of the file behind `url`, or its first digits.
        quick_gelu: whether it was trained with QuickGELU; None where unknown.
        preprocess_cfg: mean and std that it was trained with, where known.
    """

    name: str = ""
    license: str = ""
    size: str = ""
    file: Path | None = None
    asset: str | None = None
    tag: str | None = None
    hub: str | None = None
    files: tuple[str, ...] = CLIP_FILES
    url: str | None = None
    page: str | None = None
    sha256: str | None = None
    quick_gelu: bool | None = None
    preprocess_cfg: dict[str, Any] = field(default_factory=dict, hash=False)

    def target(self) -> Path:
        """Where the file is, or may be put by hand; downloads by URL go there too."""
        if self.file is not None:
            return self.file
        if self.asset is not None:
            return ASSETS / self.asset
        folder = cache_root() / "weights"
        if self.hub is not None:
            return folder / self.hub.replace("/", "--") / self.files[0]
        if self.url is None:
            return folder / self.files[0]
        # Files of many origins share a name; the mark keeps one from passing for another.
        mark = hashlib.sha256(self.url.encode()).hexdigest()[:8]
        return folder / f"{mark}-{Path(urlsplit(self.url).path).name}"

    def path(self) -> Path | None:
        """Return the file if it is on this machine, without any network access."""
        target = self.target()
        if target.is_file():
            return target
        if self.hub is None:
            return None
        from huggingface_hub.constants import HF_HUB_CACHE

        snapshots = Path(HF_HUB_CACHE, f"models--{self.hub.replace('/', '--')}", "snapshots")
        found = (path for name in self.files for path in sorted(snapshots.glob(f"*/{name}")))
        return next(found, None)

    def local(self) -> Path:
        """Return the file on this machine, fetched where needed and OVSEG_OFFLINE allows it.

        Looks at `target()`, then in the hub's own cache, then downloads.

        Raises:
            CheckpointError: it cannot be fetched, or its digest is another one.
        """
        target = self.target()
        if self.file is not None or target.is_file():
            # The published digest belongs to the file behind the URL, not to the hub's copy of it.
            if self.hub is None and not _matches(target, self.sha256):
                raise CheckpointError(
                    "the SHA-256 of this file is not the published one "
                    f"({target.stat().st_size} bytes)",
                    where=target,
                    expected=f"sha256 {self.sha256}",
                    fix=f"remove the file and fetch it again from {self.url}",
                )
            return target
        if self.hub is None and self.url is None:
            raise CheckpointError(
                f"the weights {self.files[0]} have no address from which they could be fetched",
                where=target,
                fix="get them from their authors and put them there, or give their path",
            )
        try:
            if self.hub is not None:
                return self._from_hub(self.hub)
            if is_offline():
                raise FileNotFoundError("not here")
            log.warning("fetching %s to %s", self.describe(), target)
            return _download(cast("str", self.url), target, self.sha256)
        except (HTTPException, OSError, ValueError) as error:
            raise self._absent(error) from error

    def source(self) -> str:
        """Say where the file comes from."""
        if self.asset is not None:
            return "part of the package"
        return self.url or self.page or f"https://huggingface.co/{self.hub}"

    def describe(self) -> str:
        """Origin, size and digest in one line."""
        parts = (
            self.hub and f"hub {self.hub} ({self.files[0]})",
            self.url,
            self.size,
            self.sha256 and f"sha256 {self.sha256}",
        )
        return ", ".join(part for part in parts if part)

    def _from_hub(self, hub: str) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError

        missing: Exception | None = None
        for file in self.files:
            try:
                return Path(hf_hub_download(hub, file, local_files_only=is_offline()))
            except EntryNotFoundError as error:
                missing = error
        raise FileNotFoundError(str(missing)) from missing

    def _absent(self, error: Exception) -> CheckpointError:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if is_offline():
            reason = "OVSEG_OFFLINE forbids it"
        return CheckpointError(
            f"weights are not here and cannot be fetched ({reason}): {self.describe()}",
            where=self.target(),
            fix="check the network, or put the file there by hand, or give its path; "
            "`-m maskclip-tiny` is the offline demo",
        )


def _download(url: str, target: Path, digest: str | None) -> Path:
    """Fetch an https address to a file that appears whole and checked, or not at all."""
    from tqdm import tqdm

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        # torch.hub's download has no time-out, and takes a file that was cut off for a whole one.
        with urllib.request.urlopen(url, timeout=60) as answer, part.open("wb") as file:  # noqa: S310
            size = int(answer.headers.get("Content-Length") or 0)
            options: Any = {
                "total": size or None,
                "desc": target.name,
                "unit": "B",
                "unit_scale": True,
            }
            with tqdm.wrapattr(answer, "read", disable=None, **options) as stream:
                shutil.copyfileobj(stream, file, _CHUNK)
            if size and file.tell() != size:
                raise OSError(f"cut off at {file.tell()} of {size} bytes")
        if not _matches(part, digest):
            raise OSError("its SHA-256 is not the published one")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _matches(path: Path, digest: str | None) -> bool:
    return digest is None or sha256(path).startswith(digest)


_SAM = "https://dl.fbaipublicfiles.com/segment_anything"
_SAM_B = "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
_SAM_L = "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"
_SAM_H = "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"

SAM_FILES = {
    model: Weights(
        name=f"SAM ViT-{model[-1].upper()}",
        license="Apache-2.0",
        size=size,
        tag="sa1b",
        url=f"{_SAM}/sam_{model}_{mark}.pth",
        sha256=digest,
    )
    for model, size, mark, digest in (
        ("vit_b", "375 MB", "01ec64", _SAM_B),
        ("vit_l", "1.2 GB", "0b3195", _SAM_L),
        ("vit_h", "2.6 GB", "4b8939", _SAM_H),
    )
}
"""Meta's weights of SAM, by the size of the image encoder."""


def parse_remote(text: str) -> Weights | None:
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
        return Weights(hub="/".join(parts[:2]), files=files)
    if "://" not in text:
        return None
    address = urlsplit(text)
    name = Path(address.path).name
    if address.scheme != "https" or ".." in address.path.split("/") or not name:
        raise CheckpointError(
            f"unusable address {text!r}", expected="https://HOST/.../FILE without `..`"
        )
    return Weights(url=text, sha256=published_digest(text))


def published_digest(url: str) -> str | None:
    """Digest that OpenAI and open_clip write into their addresses."""
    if "openaipublic" in url:
        return url.split("/")[-2]
    if "mlfoundations/open_clip" in url:
        return Path(urlsplit(url).path).stem.rpartition("-")[2]
    return None
