"""The set-up script on machines of several kinds, with stand-ins for Python, pip and apt."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/setup_venv.sh"

PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) exit ${OLD:-0} ;;
    *"import ensurepip"*) [ -e "$STATE/ensurepip" ] ;;
    *"-m venv"*)
        mkdir -p .venv/bin && cp "$STATE/bin/python3" .venv/bin/python
        echo made >> "$STATE/log"
        ! [ -e "$STATE/cut" ] ;;
    *"-m pip install"*)
        ! [ -e "$STATE/offline" ] && cp "$STATE/uv" .venv/bin/uv ;;
esac
"""
TOOLS = {
    "python3": PYTHON,
    "apt-get": '#!/bin/sh\ncase $1 in install) touch "$STATE/ensurepip" ;; esac\n',
    "id": '#!/bin/sh\necho "${USER_ID:-0}"\n',
    "uname": '#!/bin/sh\necho "${SYSTEM:-Linux}"\n',
}


class Machine:
    """A folder with the script in it, and a PATH of stand-ins."""

    def __init__(self, root: Path) -> None:
        self.root, self.state = root / "clone", root / "state"
        (self.root / "tools").mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / "tools")
        (self.state / "bin").mkdir(parents=True)
        for name, text in TOOLS.items():
            self.write(f"bin/{name}", text)
        self.write("uv", '#!/bin/sh\necho "uv $*" >> "$STATE/log"\n! [ -e "$STATE/cut_uv" ]\n')
        self.write("ensurepip")

    def write(self, name: str, text: str = "") -> None:
        (self.state / name).write_text(text)
        (self.state / name).chmod(0o755)

    def remove(self, name: str) -> None:
        (self.state / name).unlink()

    def run(self, **environment: str) -> subprocess.CompletedProcess:
        path = f"{self.state / 'bin'}:{os.defpath}"
        return subprocess.run(
            ["sh", "tools/setup_venv.sh"],
            cwd=self.root,
            env={"PATH": path, "STATE": str(self.state), "PYTHON": "python3", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def log(self) -> list[str]:
        """What was made and installed since the last look."""
        log = self.state / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_the_environment_is_made_once_and_brought_up_to_date_after(machine):
    assert machine.run().returncode == 0
    made, install = machine.log()
    assert made == "made"
    assert install.endswith("opencv-python-headless --editable .[test]")
    assert machine.run().returncode == 0
    assert machine.log() == [install]


def test_macos_takes_the_ordinary_opencv(machine):
    assert machine.run(SYSTEM="Darwin").returncode == 0
    assert "headless" not in machine.log()[1]


@pytest.mark.parametrize("moment", ["cut", "offline", "cut_uv"])
def test_a_set_up_that_was_cut_short_is_made_again_from_nothing(machine, moment):
    machine.write(moment)
    assert machine.run().returncode != 0
    machine.remove(moment)
    machine.log()
    (machine.root / ".venv/broken").touch()
    assert machine.run().returncode == 0
    assert machine.log()[0] == "made"
    assert not (machine.root / ".venv/broken").exists()


def test_an_interpreter_that_is_gone_is_replaced(machine):
    assert machine.run().returncode == 0
    python = machine.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert machine.run().returncode == 0
    assert python.exists()


def test_bare_debian_gets_what_is_missing(machine):
    machine.remove("ensurepip")
    assert machine.run().returncode == 0
    assert machine.log()[0] == "made"


def test_without_the_right_to_install_it_says_what_to_do(machine):
    machine.remove("ensurepip")
    found = machine.run(USER_ID="1000")
    assert found.returncode == 1
    assert "sudo apt-get install python3-venv" in found.stderr
    assert not (machine.root / ".venv").exists()


def test_apt_that_fails_stops_the_set_up(machine):
    machine.remove("ensurepip")
    machine.write("bin/apt-get", "#!/bin/sh\nexit 100\n")
    assert machine.run().returncode == 100
    assert not (machine.root / ".venv").exists()


def test_no_python_that_fits(machine):
    found = machine.run(OLD="1")
    assert found.returncode == 1
    assert "needs Python 3.10 to 3.14" in found.stderr
