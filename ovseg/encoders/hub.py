"""Where weight files come from: the package's assets, a path, a tag, a hub or a URL."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovseg.encoders.fetch import (
    CLIP_FILES,
    Remote,
    by_hand,
    fetch,
    parse_remote,
    published_digest,
)
from ovseg.errors import CheckpointError, ConfigError

__all__ = [
    "WeightSource",
    "asset_path",
    "find_file",
    "find_weights",
    "json_path",
    "read_json",
]

ASSETS = Path(__file__).resolve().parent.parent / "assets"


@dataclass(frozen=True)
class WeightSource:
    """A weights file, here or elsewhere, and what its origin states.

    Attributes:
        file: the file on this machine, or where it lies elsewhere.
        quick_gelu: whether it was trained with QuickGELU; None where unknown.
        preprocess_cfg: mean and std that it was trained with, where known.
    """

    file: Path | Remote
    quick_gelu: bool | None = None
    preprocess_cfg: dict[str, Any] = field(default_factory=dict)

    def local(self) -> Path:
        """The file on this machine, fetched where needed.

        Raises:
            CheckpointError: it cannot be fetched.
        """
        return self.file if isinstance(self.file, Path) else fetch(self.file)


def asset_path(name: str) -> Path:
    """File of the package's assets.

    Args:
        name: file name, with or without the prefix "asset:".

    Raises:
        CheckpointError: no such asset, or a name that leaves the folder.
    """
    name = name.removeprefix("asset:")
    path = ASSETS / name
    if Path(name).name != name or not path.is_file():
        known = ", ".join(sorted(p.name for p in ASSETS.glob("*.*") if p.suffix != ".py"))
        raise CheckpointError(f"no asset {name!r}", where=ASSETS, expected=f"one of {known}")
    return path


def json_path(model: str | Path) -> Path:
    """File of a model's configuration: a path, or "asset:NAME" with or without its ending.

    Raises:
        CheckpointError: no such asset.
    """
    text = str(model)
    if not text.startswith("asset:"):
        return Path(model)
    return asset_path(text if text.endswith(".json") else text + ".json")


def read_json(path: Path) -> dict[str, Any]:
    """Read a model's configuration.

    Raises:
        ConfigError: it cannot be read, or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"model configuration cannot be read: {error.strerror}", where=path
        ) from error
    except ValueError as error:
        raise ConfigError(f"model configuration is not JSON: {error}", where=path) from error
    if not isinstance(content, dict):
        raise ConfigError("model configuration is not a JSON object", where=path)
    return content


def find_weights(pretrained: str | Path, model: str) -> WeightSource:
    """Find out what `pretrained` names; nothing is fetched yet.

    Args:
        pretrained: tag of open_clip for this model, or what `find_file` takes.
        model: name of the model, to look up tags.

    Raises:
        CheckpointError: nothing of that kind.
    """
    text = str(pretrained)
    tagged = None if text.startswith(("asset:", "byhand:")) else _find_tag(model, text)
    source = tagged or find_file(pretrained)
    if source is not None:
        return source
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(model)
    raise CheckpointError(
        f"no such weights file, nor a tag of {model}",
        where=text,
        expected=f"a file, or one of the tags {', '.join(tags)}" if tags else "a file",
        fix="give the path of a file with weights",
    )


def find_file(pretrained: str | Path) -> WeightSource | None:
    """Find a weights file by its place alone; None where the text names no place.

    Args:
        pretrained: "asset:NAME", file, "hf-hub:OWNER/NAME[/FILE]", https address, or "byhand:NAME"
            for a file that has no address and was put into the cache by hand.

    Raises:
        CheckpointError: no such asset, an unusable address, or nobody put the file there.
    """
    text = str(pretrained)
    if text.startswith("byhand:"):
        return WeightSource(_put_by_hand(text.removeprefix("byhand:")))
    if text.startswith("asset:"):
        return WeightSource(asset_path(text if Path(text).suffix else text + ".safetensors"))
    path = Path(pretrained).expanduser()
    if path.exists():
        return WeightSource(path)
    remote = parse_remote(text)
    return None if remote is None else WeightSource(remote)


def _put_by_hand(name: str) -> Path:
    path = by_hand(name)
    if Path(name).name != name or not path.is_file():
        raise CheckpointError(
            f"the weights {name} have no address from which they could be fetched",
            where=path,
            fix="get them from their authors and put them there, or give their path",
        )
    return path


def _find_tag(model: str, tag: str) -> WeightSource | None:
    import open_clip

    cfg = open_clip.get_pretrained_cfg(model, tag) if "/" not in tag else None
    if not cfg:
        return None
    hub, _, file = cfg.get("hf_hub", "").rpartition("/")
    url = cfg.get("url") or None
    digest = published_digest(url) if url else None
    files = CLIP_FILES if not file else (file,)
    remote = Remote(hub=hub or None, files=files, url=url, sha256=digest)
    preprocess = {key: cfg[key] for key in ("mean", "std") if key in cfg}
    return WeightSource(remote, bool(cfg.get("quick_gelu", False)), preprocess)
