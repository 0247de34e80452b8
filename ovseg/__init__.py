"""Open-vocabulary segmentation: images and words in, label maps out.

    import ovseg

    model = ovseg.load("maskclip-tiny")
    result = model.segment("photo.jpg", ["sky", "house; home", "red car"])
    result.save("out")

Importing the package is quick and silent: the names below are fetched when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ovseg.errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    InputError,
    OvsegError,
    PromptError,
    RuntimeLimitError,
)

if TYPE_CHECKING:
    from ovseg.prompts.vocabulary import Vocabulary
    from ovseg.registry import register_head, register_proposer, register_recipe, register_refiner
    from ovseg.segmentation import Segmentation
    from ovseg.segmenter import Segmenter, load
    from ovseg.zoo import list_models, register_model

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "InputError",
    "OvsegError",
    "PromptError",
    "RuntimeLimitError",
    "Segmentation",
    "Segmenter",
    "Vocabulary",
    "__version__",
    "list_models",
    "load",
    "register_head",
    "register_model",
    "register_proposer",
    "register_recipe",
    "register_refiner",
]

_HOME = {
    "Segmentation": "ovseg.segmentation",
    "Segmenter": "ovseg.segmenter",
    "Vocabulary": "ovseg.prompts.vocabulary",
    "list_models": "ovseg.zoo",
    "load": "ovseg.segmenter",
    "register_head": "ovseg.registry",
    "register_model": "ovseg.zoo",
    "register_proposer": "ovseg.registry",
    "register_recipe": "ovseg.registry",
    "register_refiner": "ovseg.registry",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'ovseg' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
