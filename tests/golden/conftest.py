"""Finds the golden arrays: `OVSEG_GOLDEN_DIR`, else the copy in `tests/golden/data`.

The layout is `<family>/<case>`, where a case is an `.npz` file or a folder with a `case.json`.
The README of a family names its arrays and their tolerances. Other sets of the same layout must
pass the same tests, so sizes and options are read from the files.
"""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

_asked: dict[str, set[Path]] = {}


def golden_root() -> Path:
    """Folder that holds the families."""
    root = Path(os.environ.get("OVSEG_GOLDEN_DIR") or Path(__file__).parent / "data")
    if not root.is_dir():
        raise pytest.UsageError(f"OVSEG_GOLDEN_DIR: no such folder: {root}")
    return root


def cases(family: str, pattern: str) -> list[Path]:
    """Cases of a family whose name (without ending) matches the glob; empty where none is there.

    For `pytest.mark.parametrize("path", cases("trident", "b16_*"))`: test ids are case names.
    """
    found = [path for path in all_cases(family) if fnmatch(path.stem, pattern)]
    _asked.setdefault(family, set()).update(found)
    return found


def all_cases(family: str) -> list[Path]:
    """Every case of a family, whether a test asks for it or not."""
    paths = sorted((golden_root() / family).glob("*"))
    return [p for p in paths if p.suffix == ".npz" or (p / "case.json").is_file()]


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a case, read without pickle."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names a test after its case."""
    return val.stem if isinstance(val, Path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests without a case: an absent case is no failure."""
    empty = [i for i in items if any("empty parameter set" in str(m.kwargs) for m in i.own_markers)]
    if empty:
        config.hook.pytest_deselected(items=empty)
        items[:] = [item for item in items if item not in empty]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Reports cases that no collected test reads."""
    for family, known in sorted(_asked.items()):
        unread = set(all_cases(family)) - known
        if unread:
            names = " ".join(sorted(p.stem for p in unread))
            terminalreporter.write_line(f"golden/{family}: cases that no test here reads: {names}")
