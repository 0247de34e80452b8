"""Nobody imports in a circle: no modules, and no rooms (the folders and files under `ovseg/`)."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ovseg"


def modules():
    """Source files by the names of their modules."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[1] != "configs":
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imported(path, known):
    """Modules that a file asks for anywhere: in functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


def room(module):
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("level", [str, room], ids=["modules", "rooms"])
def test_there_is_no_circle(level):
    known = modules()
    graph = {}
    for module, path in known.items():
        # `ovseg` itself names what is fetched from above only when it is asked for.
        if module != "ovseg":
            asked = {level(name) for name in imported(path, known) if name.startswith("ovseg.")}
            graph.setdefault(level(module), set()).update(asked - {level(module)})
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
    assert len(graph) > 10
