"""What a result depends on beside the model: device, precision, versions of the packages."""

from __future__ import annotations

import re
import warnings
from importlib import metadata

from ovseg.errors import ConfigError

__all__ = [
    "PACKAGES",
    "PRECISIONS",
    "available_devices",
    "choose_device",
    "choose_precision",
    "package_version",
    "versions",
]

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_BEYOND = (("cpu", "fp16"), ("mps", "bf16"), ("mps", "fp16"))
"""Precisions that a kind of device cannot do."""

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "opencv-python",
    "opencv-python-headless",
    "safetensors",
    "open_clip_torch",
    "timm",
    "segment-anything",
    "mmengine",
    "mmcv",
    "mmcv-lite",
    "mmsegmentation",
)


def available_devices() -> tuple[str, ...]:
    """Return the devices that torch can use here, best first."""
    import torch

    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def choose_device(wish: str = "auto") -> str:
    """Resolve a wish to a device that exists.

    Args:
        wish: `auto` (the best there is), `cpu`, `cuda`, `cuda:i` or `mps`.

    Returns:
        A device name for torch, for example `cuda:0`.

    Raises:
        ConfigError: the wish is no device name, or the device does not exist here; the message
            lists what exists.
    """
    if wish != "auto" and not re.fullmatch(r"cpu|mps|cuda(:\d+)?", str(wish)):
        raise ConfigError(
            f"unknown device {wish!r}", where="device", expected="auto, cpu, cuda, cuda:i or mps"
        )
    found = available_devices()
    if wish == "auto":
        return found[0]
    device = "cuda:0" if wish == "cuda" else wish
    if device not in found:
        raise ConfigError(
            f"device {wish!r} does not exist here",
            where="device",
            expected=f"one of: {', '.join(found)}",
            fix="choose one of these, or 'auto'; 'ovseg check' shows what torch sees",
        )
    return device


def choose_precision(wish: str, device: str) -> str:
    """Resolve the precision of the matrix work to one that the device can do.

    Args:
        wish: `auto` (fp32 on CPU and MPS, bf16 or else fp16 on a GPU), `fp32`, `bf16` or `fp16`.
        device: a device name from `choose_device`.

    Returns:
        `fp32`, `bf16` or `fp16`: the wish, or the nearest that the device can do, with a warning.

    Raises:
        ConfigError: the wish is no precision.

    Example:
        >>> choose_precision("auto", "cpu")
        'fp32'
    """
    if wish not in PRECISIONS:
        raise ConfigError(
            f"unknown precision {wish!r}", where="precision", expected=", ".join(PRECISIONS)
        )
    kind, usable = device.partition(":")[0], wish
    if kind == "cuda" and wish in ("auto", "bf16"):
        import torch

        usable = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    elif wish == "auto" or (kind, wish) in _BEYOND:
        usable = "fp32"
    if wish not in ("auto", usable):
        warnings.warn(f"{device} cannot do {wish}: {usable} is used", stacklevel=2)
    return usable


def versions() -> dict[str, str | None]:
    """Return the versions of the packages that matter; None for those that are not there."""
    return {name: package_version(name) for name in PACKAGES}


def package_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
