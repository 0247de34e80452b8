"""Where weight files come from: the package's assets, a path, a tag, a hub or a URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ovseg.errors import CheckpointError, ConfigError
from ovseg.weights.download import ASSETS, CLIP_FILES, Weights, parse_remote, published_digest

__all__ = [
    "asset_path",
    "find_file",
    "find_weights",
    "json_path",
    "local_file",
    "read_json",
]


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


def find_weights(pretrained: str | Path, model: str) -> Weights:
    """Find out what `pretrained` names; nothing is fetched yet.

    Args:
        pretrained: tag of open_clip for this model, or what `find_file` takes.
        model: name of the model, to look up tags.

    Raises:
        CheckpointError: nothing of that kind.
    """
    text = str(pretrained)
    tagged = None if text.startswith(("asset:", "manual:")) else _find_tag(model, text)
    weights = tagged or find_file(pretrained)
    if weights is not None:
        return weights
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(model)
    raise CheckpointError(
        f"no such weights file, nor a tag of {model}",
        where=text,
        expected=f"a file, or one of the tags {', '.join(tags)}" if tags else "a file",
        fix="give the path of a file with weights",
    )


def find_file(pretrained: str | Path) -> Weights | None:
    """Find a weights file by its place alone; None where the text names no place.

    Args:
        pretrained: "asset:NAME", file, "hf-hub:OWNER/NAME[/FILE]", https address, or "manual:NAME"
            for a file that has no address and was put into the cache by hand.

    Raises:
        CheckpointError: no such asset, or an unusable address.
    """
    text = str(pretrained)
    if text.startswith("manual:"):
        return Weights(files=(Path(text.removeprefix("manual:")).name,))
    if text.startswith("asset:"):
        return Weights(file=asset_path(text if Path(text).suffix else text + ".safetensors"))
    path = Path(pretrained).expanduser()
    return Weights(file=path) if path.exists() else parse_remote(text)


def local_file(pretrained: str | Path, kind: str) -> Path:
    """Find a weights file as `find_file` does, and fetch it where needed.

    Args:
        pretrained: as for `find_file`.
        kind: what the file is, for people.

    Raises:
        CheckpointError: no such file, or it cannot be fetched.
    """
    weights = find_file(pretrained)
    if weights is None:
        raise CheckpointError(
            "no such weights file", where=pretrained, fix=f"give the path or address of {kind}"
        )
    return weights.local()


def _find_tag(model: str, tag: str) -> Weights | None:
    import open_clip

    cfg = open_clip.get_pretrained_cfg(model, tag) if "/" not in tag else None
    if not cfg:
        return None
    hub, _, file = cfg.get("hf_hub", "").rpartition("/")
    url = cfg.get("url") or None
    return Weights(
        hub=hub or None,
        files=(file,) if file else CLIP_FILES,
        url=url,
        sha256=published_digest(url) if url else None,
        quick_gelu=bool(cfg.get("quick_gelu", False)),
        preprocess_cfg={key: cfg[key] for key in ("mean", "std") if key in cfg},
    )
