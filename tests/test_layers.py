"""Rooms of the package import only rooms below them, modules never in a circle, and mm* only mm.

Read from the sources: imports inside functions and those for type checkers count like others.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"

ROOMS = {
    "__main__": "cli",
    "cli": "web mm",
    "web": "runs export",
    "mm": "runs training scenes",
    "runs": "segmenter",
    "export": "segmenter",
    "training": "pipeline regions",
    "segmenter": "pipeline segmentation zoo",
    "pipeline": "proposals",
    "proposals": "refine datasets",
    "refine": "heads",
    "regions": "heads",
    "heads": "masks",
    "masks": "inference",
    "models": "weights images",
    "prompts": "weights",
    "datasets": "prompts",
    "zoo": "weights",
    "segmentation": "visualize",
    "scenes": "evaluation",
    "inference": "models prompts",
    "evaluation": "utils",
    "visualize": "utils",
    "weights": "utils",
    "images": "utils",
    "utils": "registry ovseg",
    "registry": "plugins",
    "plugins": "errors",
    "ovseg": "errors",
    "errors": "",
}
"""Folders and modules of the package, each with those right below it.

What these have below them may be imported as well.

`ovseg` is the package's own `__init__`, for the version. It names its public classes for type
checkers alone, and fetches them when they are first used.
"""

MM = ("mmengine", "mmseg", "mmcv")

READS_CONFIGURATIONS = "ovseg.zoo.config_files"
"""Hands a `.py` configuration, which is a program of mmengine's language, to mmengine."""


@pytest.fixture(scope="module")
def reader():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS))
        yield importlib.import_module("package_imports")


@pytest.fixture(scope="module")
def found(reader):
    return reader.imports(reader.modules())


def below(room):
    """Rooms that a room may import."""
    found = set()
    waiting = ROOMS.get(room, "").split()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += ROOMS.get(name, "").split()
    return sorted(found)


def names_of(node):
    """Modules that an import names."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]


def complaint(reader, each):
    """Say of one import what is wrong with it, or None."""
    room, target = reader.room(each.module), reader.room(each.target)
    if room == target or target in below(room) or (room == "ovseg" and each.when == "typing"):
        return None
    path = reader.modules()[each.module].relative_to(reader.PACKAGE.parent)
    allowed = ", ".join(below(room)) or "no other room"
    return f"{path}:{each.line} imports {each.target}; {room} may import only {allowed}"


def test_the_table_knows_every_room_and_has_no_circle(reader):
    unknown = sorted({reader.room(name) for name in reader.modules()} - ROOMS.keys())
    assert not unknown, f"say in ROOMS what they may import: {', '.join(unknown)}"
    assert not [room for room in ROOMS if room in below(room)]


def test_rooms_import_only_what_is_below_them(reader, found):
    complaints = [text for each in found if (text := complaint(reader, each))]
    assert not complaints, "\n" + "\n".join(complaints)


def test_no_circle_of_modules(reader, found):
    circles = reader.circles((each.module, each.target) for each in found if each.when != "typing")
    assert not circles, "\n" + "\n".join(" <-> ".join(circle) for circle in circles)


def test_only_mm_imports_the_packages_of_openmmlab(reader):
    complaints = [
        f"{path.relative_to(reader.PACKAGE.parent)}:{node.lineno} imports {name}; only ovseg/mm may"
        for module, path in reader.modules().items()
        for node, _ in reader.import_nodes(ast.parse(path.read_text("utf-8")))
        for name in names_of(node)
        if reader.room(module) != "mm" and name.split(".")[0] in MM
        if (module, name) != (READS_CONFIGURATIONS, "mmengine.config")
    ]
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize(
    ("module", "target", "when", "words"),
    [
        ("ovseg.heads.maskclip", "ovseg.models.clip", "call", None),
        ("ovseg.heads.maskclip", "ovseg.heads.base", "import", None),
        ("ovseg", "ovseg.segmenter", "typing", None),
        ("ovseg", "ovseg.segmenter", "import", "ovseg may import only errors"),
        ("ovseg.heads.base", "ovseg.zoo", "import", "heads may import only errors, images"),
        ("ovseg.errors", "ovseg.utils.files", "call", "errors may import only no other room"),
        (
            "ovseg.models.clip",
            "ovseg.prompts.templates",
            "typing",
            "models may import only errors, images, ovseg",
        ),
    ],
)
def test_a_complaint_says_where_and_what_is_allowed(
    reader, monkeypatch, module, target, when, words
):
    monkeypatch.setattr(reader, "modules", lambda: {module: reader.PACKAGE / "some.py"})
    text = complaint(reader, reader.Import(module, 12, target, when))
    if words is None:
        assert text is None
    else:
        assert text.startswith(f"ovseg/some.py:12 imports {target}; ")
        assert words in text
