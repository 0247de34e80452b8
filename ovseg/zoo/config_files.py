"""Model descriptions from files: JSON and YAML are data, mmseg's `.py` configurations are code."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from ovseg.errors import ConfigError
from ovseg.plugins import custom_imports, import_plugins

__all__ = ["SUFFIXES", "comes_with_package", "foreign_program", "read_model_spec"]

SUFFIXES = (".json", ".yaml", ".yml", ".py")

_LARGEST = 1 << 20
_ONLY_MMSEG = (
    "data_preprocessor",
    "init_cfg",
    "keep_logits",
    "precision",
    "pretrained",
    "train_cfg",
)


def read_model_spec(path: str | Path) -> dict[str, Any]:
    """Read the model part of a configuration file as plain data.

    A file holds either the model part itself or a mapping with the key `model`, as mmseg's
    configurations do. Reading a `.py` file runs it, and imports its `custom_imports`: plug-ins.

    Args:
        path: a `.json`, `.yaml` or `.yml` file, or an mmseg configuration `.py`.

    Returns:
        The data that `ovseg.pipeline.build_pipeline` takes.

    Raises:
        ConfigError: the file is not there, too large, no valid JSON or YAML, has a key twice, uses
            YAML tags or anchors, has no model part, or names a plug-in that cannot be imported.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(
            f"unknown kind of configuration {path.suffix!r}",
            where=path,
            expected=f"a file ending in {', '.join(SUFFIXES)}",
        )
    if not path.is_file():
        raise ConfigError(
            "no such configuration file", where=path, fix="check the path; 'ovseg models' has names"
        )
    data = _read_python(path) if path.suffix == ".py" else _read_data(path)
    model = data.get("model", data) if isinstance(data, Mapping) else None
    if not isinstance(model, Mapping) or "type" not in model:
        raise ConfigError(
            "no model part", where=path, expected="a mapping 'model' with the key 'type'"
        )
    return {key: value for key, value in model.items() if key not in _ONLY_MMSEG}


def comes_with_package(path: str | os.PathLike[str]) -> bool:
    """Tell whether a configuration file is one of the package's own, which may be run as code."""
    package = Path(__file__).resolve().parents[1]
    homes = [package / "configs", package / ".mim" / "configs"]
    if (package.parent / "pyproject.toml").is_file():
        homes.append(package.parent / "configs")
    resolved = Path(path).resolve()
    return any(resolved.is_relative_to(home) for home in homes)


def foreign_program(path: str | os.PathLike[str]) -> str | None:
    """Say that a configuration is a program from outside the package; None where it is not."""
    if Path(path).suffix != ".py" or not Path(path).is_file() or comes_with_package(path):
        return None
    return (
        f"{path}: this configuration is a program and not part of the package; it runs with all "
        "your rights, so take it only from people you trust"
    )


def _read_python(path: Path) -> dict[str, Any]:
    from mmengine.config import Config

    config = Config.fromfile(str(path), import_custom_modules=False)
    # The package's own are for mmseg, which is not needed here.
    import_plugins(name for name in custom_imports(config) if name.split(".")[0] != "ovseg")
    data: dict[str, Any] = config.to_dict()
    return data


def _read_data(path: Path) -> Any:
    if path.stat().st_size > _LARGEST:
        raise ConfigError(
            f"{path.stat().st_size} bytes are too many for a configuration",
            where=path,
            expected=f"at most {_LARGEST} bytes",
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return _from_json(text) if path.suffix == ".json" else _from_yaml(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not readable: {error}", where=path) from error


def _from_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Hashable, Any]:
    result: dict[Hashable, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise ValueError(f"the key {key!r} is no text")
        if key in result:
            raise ValueError(f"the key {key!r} stands there twice")
        result[key] = value
    return result


def _from_yaml(text: str) -> Any:
    """Read YAML without tags, anchors and repeated keys, so that a file can do no harm."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ValueError(f"anchors and aliases are not read{_line(event)}")
            if getattr(event, "tag", None):
                raise ValueError(f"tags are not read{_line(event)}")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            pairs = [
                (self.construct_object(key, deep=True), self.construct_object(value, deep=True))
                for key, value in node.value
            ]
            return _unique(pairs)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - a stricter SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from error


def _line(event: Any) -> str:
    return f" (line {event.start_mark.line + 1})"
