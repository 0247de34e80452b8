"""`ovseg models`: the models that have a name, and which of their weights are here."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ovseg.errors import ConfigError

HELP = "list the models, what they need and which weights are present"
EXAMPLE = "ovseg models '*vit-b16*'"
PLUGINS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        "pattern", nargs="?", default="*", help="names to show, e.g. '*tiny*' or a part of a name"
    )
    parser.add_argument("--json", action="store_true", help="print JSON with all details")


def run(args: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        ConfigError: no name matches the pattern.
    """
    from ovseg.plugins import import_plugins
    from ovseg.zoo import list_models, model_entry

    import_plugins(args.plugin)
    names = list_models(args.pattern) or list_models(f"*{args.pattern}*")
    if not names:
        raise ConfigError(
            f"no model matches {args.pattern!r}",
            expected=f"one of {', '.join(list_models())}",
            fix="use wildcards, e.g. ovseg models '*clip*'",
        )
    rows = [_row(model_entry(name)) for name in names]
    print(json.dumps(rows, indent=2) if args.json else _table(rows))
    return 0


def _row(model: Any) -> dict[str, Any]:
    from ovseg.zoo import DEFAULT_MODEL

    weights = [
        {
            "name": w.name,
            "path": str(w.path()) if w.path() else None,
            "source": w.source(),
            "size": w.size,
            "sha256": w.sha256,
            "license": w.license,
        }
        for w in model.weights
    ]
    return {
        "name": model.name,
        "default": model.name == DEFAULT_MODEL,
        "method": model.method,
        "summary": model.summary,
        "needs": model.needs(),
        "present": all(w["path"] for w in weights),
        "license": model.license(),
        "weights": weights,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    head = ("name", "method", "needs", "weights present", "license")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells
    ]
    notes = [f"  {row['name']}: {row['summary']}" for row in rows]
    legend = ["", "* default of 'ovseg segment'"] if any(row["default"] for row in rows) else []
    return "\n".join([*lines, "", *notes, *legend])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    paths = ", ".join(w["path"] for w in row["weights"] if w["path"])
    present = f"yes  {paths}" if row["present"] else "no"
    name = row["name"] + (" *" if row["default"] else "")
    return (name, row["method"], row["needs"], present, row["license"])
