"""What to build: an open_clip name, a JSON file or a dict, and what its weights ask for."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
from torch.overrides import TorchFunctionMode

from ovseg.errors import ConfigError
from ovseg.weights.sources import json_path, read_json

NORMALIZATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class ModelConfig:
    """A model of open_clip as data.

    Attributes:
        name: its name, a file's stem, or "custom".
        model_cfg: arguments of `open_clip.CLIP` (embed_dim, vision_cfg, text_cfg, ...).
        preprocess_cfg: mean and std, where the source states them.
    """

    name: str
    model_cfg: dict[str, Any]
    preprocess_cfg: dict[str, Any] = field(default_factory=dict)

    @property
    def quick_gelu(self) -> bool:
        """Whether the configuration asks for QuickGELU."""
        return bool(self.model_cfg.get("quick_gelu", False))


def read_model_config(model: str | Path | Mapping[str, Any]) -> ModelConfig:
    """Find the configuration of a model.

    Args:
        model: an open_clip name, "asset:NAME", a JSON file, or a dict; JSON and dict hold either
            open_clip's model_cfg or {"model_cfg": ..., "preprocess_cfg": ...}.

    Raises:
        ConfigError: unknown name, unreadable file, missing or unusable parts.
        CheckpointError: no such asset.
    """
    if isinstance(model, Mapping):
        return _from_mapping("custom", model)
    if not isinstance(model, str | Path):
        raise ConfigError(
            f"model {model!r}", where="model", expected="a name of open_clip, a JSON file or a dict"
        )
    text = str(model)
    path = json_path(model)
    if path.suffix == ".json":
        return _from_mapping(path.stem, read_json(path))
    cfg = open_clip.get_model_config(text)
    if cfg is None:
        close = difflib.get_close_matches(text, open_clip.list_models(), n=3, cutoff=0.4)
        raise ConfigError(
            f"unknown model {text!r}",
            where="model",
            expected=f"a name of open_clip (closest: {', '.join(close) or 'none'}) or a JSON file",
        )
    return ModelConfig(text, copy.deepcopy(cfg))


def _from_mapping(name: str, content: Mapping[str, Any]) -> ModelConfig:
    cfg, preprocess = content.get("model_cfg", content), content.get("preprocess_cfg") or {}
    missing = {"embed_dim", "vision_cfg", "text_cfg"} - set(cfg or ())
    if missing:
        raise ConfigError(
            f"model configuration lacks {', '.join(sorted(missing))}",
            where=name,
            expected="embed_dim, vision_cfg and text_cfg, as in open_clip's model configurations",
        )
    parts = {"vision_cfg": cfg["vision_cfg"], "text_cfg": cfg["text_cfg"]}
    for key, part in (parts | {"preprocess_cfg": preprocess}).items():
        if not isinstance(part, Mapping):
            raise ConfigError(f"{part!r} as {key}", where=name, expected="names and values")
    return ModelConfig(name, copy.deepcopy(dict(cfg)), dict(preprocess))


class _SkipInit(TorchFunctionMode):
    """Leaves new parameters as they are: random numbers that are overwritten cost seconds."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__name__", "") in _RANDOM and (args or kwargs):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


_RANDOM = ("normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "xavier_uniform_")


def build_model(
    config: ModelConfig, quick_gelu: bool, *, initialize: bool = True
) -> open_clip.CLIP | open_clip.CustomTextCLIP:
    """The model of open_clip, before weights are loaded.

    Args:
        config: what to build.
        quick_gelu: activation of the text encoder, and of a plain vision transformer.
        initialize: fill it with random weights; False when all of them are loaded next.

    Raises:
        ConfigError: open_clip does not take the configuration.
    """
    cfg = copy.deepcopy(config.model_cfg) | {"quick_gelu": quick_gelu}
    custom = cfg.pop("custom_text", False) or "hf_model_name" in cfg["text_cfg"]
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    cfg.pop("multimodal_cfg", None)
    try:
        with nullcontext() if initialize else _SkipInit():
            return kind(**cfg)
    except Exception as error:
        # What open_clip and timm stumble over in a stranger's values can be anything.
        raise ConfigError(
            f"open_clip cannot build this model: {error}", where=config.name
        ) from error


def resolve_normalization(
    normalization: str | tuple[Any, Any], preprocess_cfg: Mapping[str, Any]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of RGB in [0, 1].

    Args:
        normalization: "model" (what the model's source states, else CLIP's), a key of
            `NORMALIZATIONS`, or (mean, std).
        preprocess_cfg: what the model's source states.

    Raises:
        ConfigError: unknown name, or values that are not three positive numbers each.
    """
    if normalization == "model":
        mean, std = NORMALIZATIONS["clip"]
        pair = preprocess_cfg.get("mean") or mean, preprocess_cfg.get("std") or std
    elif isinstance(normalization, str):
        if normalization not in NORMALIZATIONS:
            raise ConfigError(
                f"unknown normalization {normalization!r}",
                where="normalization",
                expected=f"model, {', '.join(NORMALIZATIONS)} or (mean, std)",
            )
        pair = NORMALIZATIONS[normalization]
    else:
        pair = normalization
    try:
        mean, std = (tuple(float(value) for value in values) for values in pair)
        usable = len(mean) == len(std) == 3 and all(value > 0 for value in std)
    except (TypeError, ValueError):
        usable = False
    if not usable:
        raise ConfigError(
            f"normalization {pair!r}",
            where="normalization",
            expected="three means and three positive standard deviations of RGB in [0, 1]",
        )
    return mean, std
