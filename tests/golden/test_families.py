"""Every family folder that is there yields at least one case."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.conftest import all_cases, golden_root

FOLDERS = [p for p in sorted(golden_root().glob("[!._]*")) if p.is_dir()]


@pytest.mark.parametrize("folder", FOLDERS)
def test_family_has_cases(folder: Path) -> None:
    assert all_cases(folder.name), f"{folder} holds no case"
