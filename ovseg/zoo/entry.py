"""What an entry of the zoo says: a model and the weights it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ModelEntry", "Weights", "segmentor", "slide"]

ASSETS = Path(__file__).parents[1] / "assets"


@dataclass(frozen=True)
class Weights:
    """One file of weights.

    Attributes:
        name: what it is, for people.
        licence: licence of the weights.
        size: size of the file, for people.
        asset: file name under `ovseg/assets`, when it comes with the package.
        tag: tag of open_clip that names these weights.
        hub: repository of the Hugging Face hub that holds them.
        files: names inside the repository, the preferred one first; None for those of open_clip.
        url: address of the file as first published.
        page: where its authors offer a file that has no address of its own; `files` names it, and
            it is put into the cache by hand.
        sha256: published SHA-256 of the file behind `url`, where there is one.
    """

    name: str
    licence: str
    size: str
    asset: str | None = None
    tag: str | None = None
    hub: str | None = None
    files: tuple[str, ...] | None = None
    url: str | None = None
    page: str | None = None
    sha256: str | None = None

    def path(self) -> Path | None:
        """Return the local file when it is there, without any network access."""
        if self.asset is not None:
            path = ASSETS / self.asset
            return path if path.is_file() else None
        return _in_caches(self)

    def source(self) -> str:
        """Say where the file comes from."""
        if self.asset is not None:
            return "part of the package"
        return self.url or self.page or f"https://huggingface.co/{self.hub}"


@dataclass(frozen=True)
class ModelEntry:
    """A named model: method, weights and the plain data its pipeline is built from."""

    name: str
    method: str
    summary: str
    weights: tuple[Weights, ...]
    spec: Mapping[str, Any]

    def fresh_spec(self) -> dict[str, Any]:
        """Return a copy of the spec that may be changed."""
        return deepcopy(dict(self.spec))

    def needs(self) -> str:
        """Say what has to be fetched before the model can run."""
        fetched = [w for w in self.weights if w.asset is None]
        return ", ".join(f"{w.name} ({w.size})" for w in fetched) or "nothing, it is bundled"

    def licence(self) -> str:
        """Return the licences of the weights."""
        return ", ".join(dict.fromkeys(w.licence for w in self.weights))


def _in_caches(weights: Weights) -> Path | None:
    """Find a weights file where `ovseg.encoders.fetch` looks for it, without asking the hub."""
    from ovseg.encoders.fetch import CLIP_FILES, Remote, by_hand

    if weights.page is not None:
        path = by_hand(weights.files[0])
        return path if path.is_file() else None
    files = weights.files or CLIP_FILES
    target = Remote(hub=weights.hub, files=files, url=weights.url).target()
    if target.is_file():
        return target
    if weights.hub is None:
        return None
    root = os.environ.get("HF_HUB_CACHE") or (
        Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
    )
    snapshots = Path(root) / f"models--{weights.hub.replace('/', '--')}" / "snapshots"
    return next((path for name in files for path in sorted(snapshots.glob(f"*/{name}"))), None)


def slide(short_side: int, crop: int, stride: int) -> dict[str, Any]:
    """The `test_cfg` of sliding windows: sides in pixels."""
    return {"mode": "slide", "short_side": short_side, "crop_size": crop, "stride": stride}


def segmentor(
    backbone: dict[str, Any],
    head: dict[str, Any],
    templates: str,
    test_cfg: dict[str, Any],
) -> dict[str, Any]:
    """The plain data of a model, as `ovseg.pipeline.build_pipeline` takes it."""
    return {
        "type": "OpenVocabSegmentor",
        "backbone": {"type": "ClipBackbone", **backbone},
        "decode_head": head,
        "templates": templates,
        "test_cfg": test_cfg,
    }
