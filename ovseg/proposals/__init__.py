"""Sources of mask proposals; what a source is stands in `ovseg.masks.proposer`."""

from ovseg.masks.proposer import Proposer
from ovseg.registry import PROPOSERS

__all__: list[str] = []


def __getattr__(name: str) -> type[Proposer]:
    """Return a registered source by the name of its class (PEP 562)."""
    return PROPOSERS.class_named(name)
