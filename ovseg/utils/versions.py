"""Versions of the packages that results depend on."""

from __future__ import annotations

from importlib import metadata

__all__ = ["PACKAGES", "package_version", "versions"]

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


def versions() -> dict[str, str | None]:
    """Return the versions of the packages that matter; None for those that are not there."""
    return {name: package_version(name) for name in PACKAGES}


def package_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
