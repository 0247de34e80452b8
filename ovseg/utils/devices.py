"""Which device and precision to use, decided before any weights are read."""

from __future__ import annotations

import re

from ovseg.errors import ConfigError

__all__ = ["PRECISIONS", "available_devices", "choose_device", "choose_precision"]

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


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
    """Resolve the precision of the matrix work.

    Args:
        wish: `auto` (fp32 on CPU and MPS, bf16 or else fp16 on a GPU), `fp32`, `bf16` or `fp16`.
        device: a device name from `choose_device`.

    Returns:
        `fp32`, `bf16` or `fp16`.

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
    if wish != "auto":
        return wish
    if not device.startswith("cuda"):
        return "fp32"
    import torch

    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
