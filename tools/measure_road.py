"""Print how far a reader has to walk: the road of an image, the sizes of files, circles of imports.

    python tools/measure_road.py            tables
    python tools/measure_road.py --json     the same figures, for programs

Two roads are walked on the CPU with the bundled tiny MaskCLIP: `ovseg segment IMAGE` as the shell
runs it, and `model.segment(IMAGE, CLASSES)` of a model that is warm. Counted are the functions of
the package that have a name (methods and properties too; no lambda, no comprehension), the files
they stand in, and the file changes: calls that lead from one file of the package into another, also
where a library's function stands between. What runs while a module is imported is left out.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import Any

from package_imports import PACKAGE, circles, imports, modules, room

BARS = {
    "ovseg segment": {"files": 45, "changes": 163},
    "model.segment": {"files": 16, "changes": 51},
}
"""The most files and file changes that a road may have."""


@dataclass
class Road:
    """What a call entered; `walk` fills it."""

    files: set[str] = field(default_factory=set)
    functions: set[CodeType] = field(default_factory=set)
    changes: int = 0

    def count(self, frame: FrameType, event: str, _: object) -> None:
        """Count one call: the hook for `sys.setprofile`."""
        if event != "call" or not _is_own_function(frame.f_code):
            return
        own = [f.f_code for f in _callers(frame) if _is_own(f.f_code)]
        if any(code.co_name == "<module>" for code in own):
            return
        self.files.add(frame.f_code.co_filename)
        self.functions.add(frame.f_code)
        self.changes += bool(own) and own[0].co_filename != frame.f_code.co_filename

    def figures(self) -> dict[str, Any]:
        """Return how many files, functions and file changes there were."""
        return {
            "files": len(self.files),
            "functions": len(self.functions),
            "changes": self.changes,
        }


def _is_own(code: CodeType) -> bool:
    return code.co_filename.startswith(f"{PACKAGE}{os.sep}")


def _is_own_function(code: CodeType) -> bool:
    """Whether it is a function with a name: bodies of classes and modules are not optimized."""
    is_function = code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<")
    return bool(is_function) and _is_own(code)


def _callers(frame: FrameType) -> Iterator[FrameType]:
    while frame.f_back is not None:
        frame = frame.f_back
        yield frame


def walk(call: Callable[[], object]) -> Road:
    """Run a call, and count what it enters, in threads that it starts too."""
    road = Road()
    threading.setprofile(road.count)
    sys.setprofile(road.count)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return road


def walk_roads(folder: Path) -> dict[str, Road]:
    """Walk both roads on a drawn scene that is written into `folder`."""
    from PIL import Image

    import ovseg
    from ovseg.cli import main as command
    from ovseg.scenes import draw_scene

    if Path(ovseg.__file__).parent != PACKAGE:
        raise SystemExit(f"{ovseg.__file__} is imported, not {PACKAGE}: set PYTHONPATH")
    os.environ["OVSEG_CACHE"] = str(folder / "cache")
    image = str(folder / "photo.jpg")
    Image.fromarray(draw_scene(7).image).save(image)
    argv = ["segment", image, "-c", "cat, dog", "-m", "maskclip-tiny", "--device", "cpu"]
    with redirect_stdout(sys.stderr):
        shell = walk(lambda: command([*argv, "-o", str(folder / "out")]))
    model = ovseg.load("maskclip-tiny", device="cpu")
    model.segment(image, ["cat", "dog"])
    warm = walk(lambda: model.segment(image, ["cat", "dog"]))
    return {"ovseg segment": shell, "model.segment": warm}


def measure_files() -> dict[str, Any]:
    """Count the files of the package and their lines."""
    lines = {
        str(path.relative_to(PACKAGE.parent)): len(path.read_text("utf-8").splitlines())
        for path in modules().values()
    }
    largest = max(lines, key=lambda name: lines[name])
    return {
        "files": len(lines),
        "lines": sum(lines.values()),
        "median": median(lines.values()),
        "largest": [largest, lines[largest]],
    }


def measure_circles() -> dict[str, list[list[str]]]:
    """Find the circles of imports: of modules, and of the rooms (folders) that they stand in."""
    found = imports(modules())
    top = [(each.module, each.target) for each in found if each.when == "import"]
    inside = [(each.module, each.target) for each in found if each.when in ("import", "call")]
    every = [(each.module, each.target) for each in found]
    return {
        "modules": circles(top),
        "modules, imports inside functions too": circles(inside),
        "modules, imports for type checkers too": circles(every),
        "rooms": circles((room(a), room(b)) for a, b in top),
        "rooms, imports inside functions too": circles((room(a), room(b)) for a, b in inside),
    }


def table(figures: dict[str, Any]) -> str:
    """Lay the figures out for people."""
    rows = [f"{'road':<16}{'files (at most)':>18}{'functions':>12}{'file changes (at most)':>25}"]
    for name, road in figures["roads"].items():
        files, changes = (f"{road[key]} ({road['bars'][key]})" for key in ("files", "changes"))
        rows.append(f"{name:<16}{files:>18}{road['functions']:>12}{changes:>25}")
    package = figures["package"]
    rows += ["", "package: {files} files, {lines} lines, median {median:g}".format(**package)]
    rows += ["largest: {} ({} lines)".format(*package["largest"]), ""]
    for kind, found in figures["circles"].items():
        rows.append(f"circles of {kind}: {len(found) or 'none'}")
        rows += [f"    {', '.join(circle)}" for circle in found]
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    with TemporaryDirectory() as folder:
        roads = walk_roads(Path(folder))
    figures = {
        "roads": {name: road.figures() | {"bars": BARS[name]} for name, road in roads.items()},
        "package": measure_files(),
        "circles": measure_circles(),
    }
    print(json.dumps(figures, indent=1) if args.json else table(figures))


if __name__ == "__main__":
    main()
