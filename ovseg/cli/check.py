"""`ovseg check`: what is here and what is usable, for a first look and for bug reports."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import warnings
from pathlib import Path
from typing import Any

HELP = "show versions, devices and what is usable, as a bug report needs it"
EXAMPLE = "ovseg check --json > report.json"
PLUGINS = True

_VARIABLES = (
    "OVSEG_CACHE",
    "OVSEG_OFFLINE",
    "OVSEG_DEVICE",
    "OVSEG_PRECISION",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "PYTORCH_ENABLE_MPS_FALLBACK",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report and return 0."""
    from ovseg.utils.devices import versions

    report = {
        "ovseg": _ovseg(),
        "system": _system(),
        "packages": versions(),
        "mmcv": _mmcv_kind(),
        "devices": _devices(),
        "plug-ins": _plugins(args.plugin),
        "models": _models(),
        "cache": _cache(),
        "images": _images(),
        "environment": {k: os.environ[k] for k in _VARIABLES if k in os.environ},
    }
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        for title, part in report.items():
            print(_section(title, part))
    return 0


def _ovseg() -> dict[str, str]:
    from ovseg import __file__ as home
    from ovseg import __version__

    return {"version": __version__, "folder": str(Path(home).parent)}


def _system() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "cpus": os.cpu_count(),
    }


def _mmcv_kind() -> str:
    from ovseg.utils.devices import package_version

    if package_version("mmcv"):
        return "full (compiled operators)"
    lite = package_version("mmcv-lite")
    return "lite (enough for everything of ovseg)" if lite else "not installed"


def _devices() -> dict[str, Any]:
    """Ask torch; a broken torch must not keep the rest of the report from being printed."""
    try:
        import torch

        from ovseg.utils.devices import available_devices, choose_precision

        report = {"threads": torch.get_num_threads(), "cuda build": torch.version.cuda or "no"}
        for device in available_devices():
            report[device] = {
                "name": _device_name(device),
                "precision": choose_precision("auto", device),
                "bf16": _works(device, "bf16"),
                "fp16": _works(device, "fp16"),
            }
        return report
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _device_name(device: str) -> str:
    import torch

    if not device.startswith("cuda"):
        return platform.processor() or platform.machine()
    found = torch.cuda.get_device_properties(device)
    return f"{found.name}, {found.total_memory / 2**30:.0f} GiB"


def _works(device: str, precision: str) -> bool:
    """Whether the towers can run in a precision: what `ovseg.load` would not replace by another."""
    import torch

    from ovseg.utils.devices import choose_precision

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if choose_precision(precision, device) != precision:
            return False
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    try:
        ones = torch.ones(2, 2, device=device, dtype=dtype)
        return bool(torch.isfinite(ones @ ones).all())
    except (RuntimeError, TypeError):
        return False


def _plugins(names: list[str]) -> dict[str, str]:
    """Import those that were asked for and those of installed distributions; all is told."""
    from ovseg.errors import ConfigError
    from ovseg.plugins import import_plugin, installed_plugins

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = installed_plugins()
    for name in names:
        try:
            import_plugin(name)
            report[name] = "loaded"
        except ConfigError as error:
            report[name] = str(error)
    return report


def _models() -> dict[str, str]:
    from ovseg.zoo import list_models, model_entry

    report = {}
    for name in list_models():
        paths = [w.path() for w in model_entry(name).weights]
        present = all(paths)
        report[name] = ", ".join(map(str, paths)) if present else "weights not present"
    return report


def _cache() -> dict[str, Any]:
    from ovseg.weights.download import cache_root

    folder = cache_root()
    above = next(p for p in (folder, *folder.parents) if p.exists())
    return {
        "folder": str(folder),
        "exists": folder.is_dir(),
        "writable": os.access(above, os.W_OK),
    }


def _images() -> dict[str, Any]:
    from PIL import features

    codecs = ("jpg", "zlib", "libtiff", "webp", "avif", "jpg_2000")
    return {
        "codecs": [name for name in codecs if features.check(name)],
        "legend font": "scalable" if features.check("freetype2") else "bitmap only",
    }


def _section(title: str, part: Any) -> str:
    if not isinstance(part, dict):
        return f"{title}: {part}"
    lines = [f"  {key}: {_text(value)}" for key, value in part.items()]
    return "\n".join([f"{title}:", *lines]) if lines else f"{title}: none"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not installed" if value is None else str(value)
