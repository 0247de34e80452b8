"""What the wheel carries, told from setup.cfg."""

from __future__ import annotations

import configparser
import glob
from pathlib import Path

import ovseg

ROOT = Path(__file__).parents[1]


def settings():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_data_file_of_the_package_travels_in_the_wheel():
    patterns = settings()["options.package_data"]["ovseg"].split()
    carried = {
        Path(path)
        for pattern in patterns
        for path in glob.glob(pattern, root_dir=ROOT / "ovseg", recursive=True)
    }
    package = ROOT / "ovseg"
    here = {
        path.relative_to(package)
        for folder in (package, *(p for p in package.iterdir() if p.is_symlink()))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    modules = {path for path in here if path.suffix == ".py" and path.parts[0] != "configs"}
    assert here - modules == carried
    assert Path("configs/maskclip/maskclip_tiny_scenes.py") in carried


def test_every_folder_of_modules_is_a_package():
    folders = {path.parent for path in (ROOT / "ovseg").rglob("*.py")} - {
        path.parent for path in (ROOT / "ovseg/configs").rglob("*.py")
    }
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {ovseg.__version__}\n" in citation


def test_every_room_has_a_page_in_the_reference():
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
    described = {line.removeprefix("::: ovseg.") for line in pages.splitlines()}
    rooms = {path.parent.name for path in (ROOT / "ovseg").glob("*/__init__.py")}
    assert rooms - described == {"cli"}  # told by `ovseg --help`
