"""The models that come with a name: plain data, no torch.

Every module of this room may hold `ENTRIES`; plug-ins add theirs with `register_model`.

An entry says what a model is (`spec`, the data that `ovseg.pipeline.build_pipeline` takes), which
weights it needs, where they come from and under which license. Weights that do not come with the
package are fetched on first use; a local file always works instead (`checkpoint=`, `--checkpoint`).
"""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase

from ovseg.errors import ConfigError
from ovseg.plugins import installed_plugins, modules_of
from ovseg.zoo.entry import ModelEntry, Weights

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "ModelEntry",
    "Weights",
    "model_entry",
    "list_models",
    "register_model",
]


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the models that match a wildcard pattern, sorted.

    Args:
        pattern: as in file names: `*` any text, `?` one letter, `[ab]` one of them.

    Example:
        >>> list_models("maskclip-t*")
        ['maskclip-tiny']
    """
    installed_plugins()
    return sorted(name for name in MODELS if fnmatchcase(name, pattern))


def model_entry(name: str) -> ModelEntry:
    """Return the entry of a model.

    Raises:
        ConfigError: no model has this name; the message gives the closest ones.
    """
    if name not in MODELS:
        installed_plugins()
    if name in MODELS:
        return MODELS[name]
    close = get_close_matches(name, MODELS, n=3, cutoff=0.4)
    raise ConfigError(
        f"unknown model {name!r}",
        expected=f"one like {', '.join(close)}" if close else None,
        fix="'ovseg models' lists all names; a path to a configuration file works too",
    )


def register_model(model: ModelEntry) -> ModelEntry:
    """Give a model a name: for `ovseg.load`, `ovseg segment --model` and `ovseg models`.

    Args:
        model: its entry; one that is equal to what the name stands for already changes nothing.

    Returns:
        The entry.

    Raises:
        ConfigError: no entry, or the name stands for another model.
    """
    if not isinstance(model, ModelEntry):
        raise ConfigError(f"{model!r} is no model", expected="an ovseg.zoo.ModelEntry")
    if MODELS.setdefault(model.name, model) != model:
        raise ConfigError(
            f"the name {model.name!r} stands for another model: {MODELS[model.name].summary}",
            where="register_model",
            fix="choose another name",
        )
    return model


def _complete(model: ModelEntry) -> bool:
    """Whether all weights that come with the package are part of this one."""
    return all(w.asset is None or w.path() is not None for w in model.weights)


MODELS: dict[str, ModelEntry] = {
    model.name: model
    for module in modules_of(__name__)
    for model in getattr(module, "ENTRIES", ())
    if _complete(model)
}
"""Models by name; one whose bundled weights are not trained yet has no name yet."""

# The strongest of those that fit most machines: 45.8 mIoU over the eight benchmarks as published,
# against 40.3 for CLIP-DINOiser and 30.3 for MaskCLIP. All of its files have well-known addresses.
DEFAULT_MODEL = "trident-vit-b16"
