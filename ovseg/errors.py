"""The errors that ovseg raises on purpose: one root, six kinds.

Every message says what happened, where, what was expected and how to fix it, so that the
command line can print it as it stands, without a traceback.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "InputError",
    "OvsegError",
    "PromptError",
    "RuntimeLimitError",
]


class OvsegError(Exception):
    """Root of all errors that ovseg raises on purpose.

    Args:
        what: what happened, in one sentence without a full stop.
        where: the file, key or position concerned.
        expected: what would have been right.
        fix: what the user can do about it.

    Example:
        >>> print(InputError("empty file", where="a.jpg", fix="download it again"))
        a.jpg: empty file; to fix: download it again
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.expected = None if expected is None else str(expected)
        self.fix = fix
        super().__init__(what)

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.fix is not None:
            text += f"; to fix: {self.fix}"
        return text


class InputError(OvsegError):
    """An image, array or output place cannot be used."""


class PromptError(OvsegError):
    """A class name, vocabulary or prompt cannot be used."""


class ConfigError(OvsegError):
    """A setting, flag or combination of parts is wrong."""


class CheckpointError(OvsegError):
    """Weights are absent, unsafe, damaged or do not fit the model."""


class DatasetError(OvsegError):
    """A data set is incomplete or its labels are wrong."""


class RuntimeLimitError(OvsegError):
    """The work would exceed a limit of memory, pixels or device."""
