"""What segmenting an image gives: a class for every pixel, ready to look at and to store."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ovseg.errors import ConfigError, InputError
from ovseg.utils import rle
from ovseg.utils.files import FORMATS, write_atomic

__all__ = ["Segmentation"]


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """The class of every pixel of one image.

    Args:
        labels: (H, W) integers, indices into `classes`; others mean "no class" (ignore).
        classes: label of each class.
        scores: (H, W) float32 in [0, 1], the winning class's score, or None.
        image: (H, W, 3) uint8 RGB that was segmented, or None.
        palette: RGB color of each class; None takes distinct colors.
        source: the image's name.
        notes: what was done to the image when it was read.

    Raises:
        InputError: the arrays do not fit together.

    Example:
        >>> result = Segmentation(np.array([[0, 0, 1, 1], [0, 0, 0, 1]]), ("sky", "sea"))
        >>> result
        Segmentation(4 x 2 px, 2 classes: sky 62.5%, sea 37.5%)
        >>> [entry["bbox"] for entry in result.to_coco()]
        [[0, 0, 3, 2], [2, 0, 2, 2]]
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    scores: np.ndarray | None = None
    image: np.ndarray | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    source: str = "<array>"
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.palette is not None:
            object.__setattr__(self, "palette", tuple(self.palette))
        if self.labels.ndim != 2 or self.labels.dtype.kind not in "iu" or not self.labels.size:
            raise InputError(
                f"labels of shape {self.labels.shape} and dtype {self.labels.dtype}",
                where=self.source,
                expected="an (H, W) integer array with at least one pixel",
            )
        for name, shape in (("scores", self.labels.shape), ("image", (*self.labels.shape, 3))):
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise InputError(
                    f"{name} of shape {value.shape}", where=self.source, expected=f"{shape}"
                )
        if self.palette is not None and len(self.palette) < len(self.classes):
            raise ConfigError(
                f"{len(self.palette)} colors for {len(self.classes)} classes",
                where="palette",
                expected="a color for every class",
            )

    def __repr__(self) -> str:
        height, width = self.labels.shape
        shares = [f"{name} {100 * share:.1f}%" for name, share in self.shares().items()]
        more = [f"... {len(shares) - 6} more"] if len(shares) > 6 else []
        found = ", ".join(shares[:6] + more) or "none found"
        return f"Segmentation({width} x {height} px, {len(self.classes)} classes: {found})"

    def _repr_png_(self) -> bytes:
        return _png(self.overlay(legend=True))

    @property
    def colors(self) -> tuple[tuple[int, int, int], ...]:
        """RGB color of each class: the palette, or distinct ones."""
        if self.palette is not None:
            return self.palette[: len(self.classes)]
        from ovseg.visualize.palette import distinct_colors

        return distinct_colors(len(self.classes))

    def counts(self) -> dict[str, int]:
        """Number of pixels of each class that occurs, largest first."""
        return {self.classes[index]: count for index, count in self._present()}

    def shares(self) -> dict[str, float]:
        """Part of the image (0..1) of each class that occurs, largest first."""
        return {name: count / self.labels.size for name, count in self.counts().items()}

    def overlay(self, alpha: float = 0.5, *, legend: bool = False) -> np.ndarray:
        """The image under the colors of its classes.

        Args:
            alpha: weight of the colors, from 0 (image only) to 1 (colors only).
            legend: write the classes that occur onto their regions and list them, largest
                first; the result is then larger than the image.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            ConfigError: `alpha` lies outside [0, 1].
        """
        from ovseg.visualize.overlay import explained, overlay_labels

        if not legend:
            return overlay_labels(self.image, self.labels, self.colors, alpha=alpha)
        return explained(
            self.image, self.labels, self.colors, self.classes, self._present(), alpha=alpha
        )

    def to_coco(self, image_id: int = 0) -> list[dict[str, Any]]:
        """COCO annotations with compressed run lengths, one a class that occurs.

        Args:
            image_id: goes into every annotation.

        Returns:
            Dicts ready for JSON, by class index: `image_id`, `category_id` (the class index),
            `category_name`, `segmentation` (`size`, `counts`), `area`, `bbox` (x, y, w, h),
            `iscrowd`, and `score` (mean of the scores) when there are scores.
        """
        sums = None
        if self.scores is not None:
            sums = self._tally(self.scores.ravel().astype(np.float64))
        annotations = []
        for region in rle.regions(self.labels):
            if not 0 <= region.label < len(self.classes):
                continue
            annotation = {
                "image_id": image_id,
                "category_id": region.label,
                "category_name": self.classes[region.label],
                "segmentation": {"size": list(self.labels.shape), "counts": region.counts},
                "area": region.area,
                "bbox": list(region.bbox),
                "iscrowd": 0,
            }
            if sums is not None:
                annotation["score"] = round(float(sums[region.label]) / region.area, 6)
            annotations.append(annotation)
        return annotations

    def save(
        self,
        folder: str | os.PathLike[str],
        name: str = "image",
        formats: Sequence[str] = ("label", "palette", "overlay"),
    ) -> list[Path]:
        """Write the result into a folder; every file appears whole or not at all.

        Args:
            folder: where; made when it is not there.
            name: start of the file names; `/` makes folders below `folder`.
            formats: which of "label" (`.label.png`, class indices, 8 bit, 16 bit above 255
                classes; 255 or 65535 where there is no class), "palette" (`.palette.png`, indices
                with colors, left out above 256 classes), "overlay" (`.overlay.png`, with a
                legend) and "coco" (`.coco.json`).

        Returns:
            The paths that were written, in the order of `formats`.

        Raises:
            ConfigError: an unknown format.
            InputError: the name leads out of the folder, or the place cannot be written.
            RuntimeLimitError: the disk is full.
        """
        unknown = [each for each in formats if each not in FORMATS]
        if unknown:
            raise ConfigError(
                f"unknown format {unknown[0]!r}", where="formats", expected=", ".join(FORMATS)
            )
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or os.pardir in parts:
            raise InputError(
                "this name leads out of the output folder",
                where=repr(name),
                expected="a relative name without '..'",
            )
        paths = []
        for each in dict.fromkeys(formats):
            if each == "palette" and len(self.classes) > 256:
                continue
            data, suffix = self._encode(each)
            paths.append(write_atomic(Path(folder, f"{name}.{suffix}"), data))
        return paths

    def _encode(self, kind: str) -> tuple[bytes, str]:
        if kind == "coco":
            text = json.dumps(self.to_coco(), ensure_ascii=False)
            return text.encode("utf-8", errors="surrogateescape"), "coco.json"
        if kind == "overlay":
            return _png(self.overlay(legend=True)), "overlay.png"
        deep = len(self.classes) > 255 and kind == "label"
        image = Image.fromarray(self._stored(np.uint16 if deep else np.uint8))
        if kind == "palette":
            table = np.full((256, 3), 128, np.uint8)  # all 256, else Pillow packs the indices
            table[: len(self.classes)] = self.colors
            image.putpalette(table.tobytes())
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue(), f"{kind}.png"

    def _stored(self, dtype: type[np.unsignedinteger]) -> np.ndarray:
        """Labels in the type of a file; whatever is no class becomes its largest value."""
        known = (self.labels >= 0) & (self.labels < len(self.classes))
        stored = np.full(self.labels.shape, np.iinfo(dtype).max, dtype)
        np.copyto(stored, self.labels, casting="unsafe", where=known)
        return stored

    def _present(self) -> list[tuple[int, int]]:
        """(class index, pixels) of the classes that occur, largest first."""
        counts = self._tally(None)
        order = sorted(np.flatnonzero(counts).tolist(), key=lambda i: (-counts[i], i))
        return [(i, int(counts[i])) for i in order]

    def _tally(self, weights: np.ndarray | None) -> np.ndarray:
        """Sum of `weights` (or number of pixels) by class; other labels are left out."""
        flat = self.labels.ravel()
        known = (flat >= 0) & (flat < len(self.classes))
        if not known.all():
            flat = flat[known]
            weights = None if weights is None else weights[known]
        return np.bincount(flat, weights, minlength=len(self.classes))


def _png(image: np.ndarray) -> bytes:
    """RGB image as PNG; OpenCV's quick filter, since overlays are large and looked at once."""
    import cv2

    good, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not good:
        raise InputError(f"an image of shape {image.shape} cannot be written as PNG")
    return data.tobytes()
