"""The imports of one module of the package by another, read from the sources, and their circles."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1] / "ovseg"


class Import(NamedTuple):
    """One import of the package's own: which module imports which, in what line.

    `when` is "import" at the top of a module, "call" inside a function, "typing" where it is for
    type checkers only.
    """

    module: str
    line: int
    target: str
    when: str


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return the files of the package by the names of their modules."""
    paths = sorted(package.rglob("*.py"))
    parts = {path: path.relative_to(package.parent).with_suffix("").parts for path in paths}
    return {
        ".".join(part[:-1] if part[-1] == "__init__" else part): path
        for path, part in parts.items()
    }


def imports(files: Mapping[str, Path]) -> list[Import]:
    """Read every import of one module by another from the sources.

    `from a import b` leads to the module `a.b` where that is one and `a` defines no `b` itself.
    """
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in files.items()}
    defined = {
        name: {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for name, tree in trees.items()
    }

    def target(name: str, attribute: str) -> str:
        inner = f"{name}.{attribute}"
        return inner if inner in trees and attribute not in defined.get(name, ()) else name

    found = []
    for module, tree in trees.items():
        for node, when in import_nodes(tree):
            if isinstance(node, ast.ImportFrom):
                names = [target(node.module or "", alias.name) for alias in node.names]
            else:
                names = [alias.name for alias in node.names]
            unique = sorted({name for name in names if name in trees})
            found += [Import(module, node.lineno, name, when) for name in unique]
    return found


def import_nodes(
    node: ast.AST, when: str = "import"
) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Return all imports below a node, each with its time as in `Import.when`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, when
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from import_nodes(child, "call")
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from import_nodes(child, "typing")
        else:
            yield from import_nodes(child, when)


def circles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the strongly connected parts of more than one node, by Tarjan's algorithm."""
    graph: dict[str, set[str]] = {}
    for source, target in edges:
        graph.setdefault(source, set()).add(target)
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for neighbor in sorted(graph.get(node, ())):
            if neighbor not in order:
                visit(neighbor)
            if neighbor in stack:
                lowest[node] = min(lowest[node], lowest[neighbor])
        if lowest[node] == order[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            found.append(sorted(part))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return sorted(part for part in found if len(part) > 1)


def room(module: str) -> str:
    """Return the room that a module stands in: what follows the package's name."""
    return module.split(".")[1] if "." in module else module
