"""Masks that somebody has made already: from a file, or from ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ovseg.errors import ConfigError, InputError
from ovseg.inference.head_input import HeadInput
from ovseg.masks.proposer import MaskProposals, Proposer
from ovseg.masks.resize import resize_masks
from ovseg.registry import register_proposer

__all__ = ["GROUND_TRUTH", "PrecomputedMaskProposer", "masks_of_labels"]

GROUND_TRUTH = "ground_truth"
"""Stands for the masks of each image's labels."""

_NO_LABEL = (255, 65535)


@register_proposer("PrecomputedMaskProposer")
class PrecomputedMaskProposer(Proposer):
    """Proposes what it is given, whatever is asked for.

    Masks that come with a request go before those that were given for all images.

    Args:
        masks: a file, for one image: `.npz` with an array `masks` as `set_masks` takes them, or a
            label map (8 or 16 bit image), of which every label is a mask. "ground_truth": `ovseg
            test` sends every image's labels along, which tells how well regions are named where
            masks are perfect. None: they come with each image, or `set_masks` follows.

    Raises:
        InputError: the file cannot be used.
        DatasetError: it is no label map.
    """

    def __init__(self, masks: str | Path | None = None) -> None:
        super().__init__()
        self.masks = masks
        self._given: Tensor | None = None
        if masks is not None and not self.uses_ground_truth:
            self.set_masks(_read_masks(Path(masks)))

    @property
    def uses_ground_truth(self) -> bool:
        """Whether the masks are those of each image's labels."""
        return self.masks == GROUND_TRUTH

    def set_masks(self, masks: np.ndarray | Tensor) -> None:
        """Propose these masks from now on.

        Args:
            masks: (Q, H, W) bool or float from 0 to 1, of the image's own size; or a label map
                (H, W) of integers.

        Raises:
            InputError: something else.
        """
        self._given = _as_masks(masks, self.masks)

    def propose(self, inputs: HeadInput) -> MaskProposals:
        """Return the given masks; see `Proposer`.

        Raises:
            ConfigError: none were given.
            InputError: they are of another size than the image.
        """
        given = self._given if inputs.masks is None else _as_masks(inputs.masks, self.masks)
        if given is None:
            raise ConfigError(
                "no masks are given",
                where="decode_head.proposer.masks",
                fix="name a file, call set_masks(masks), or pass masks with each image "
                "(Pipeline.predict); ground_truth is for ovseg test",
            )
        size = inputs.size if inputs.image_np is None else inputs.image_np.shape[:2]
        seen = tuple(given.shape[1:])
        if seen != tuple(size):
            raise InputError(
                f"masks of {seen[0]} x {seen[1]} pixels, the image has {size[0]} x {size[1]}",
                where=self.masks,
                expected="the size of the upright image",
            )
        return MaskProposals(resize_masks(given.to(inputs.image_tensor.device), inputs.size))


def _as_masks(masks: np.ndarray | Tensor, where: str | Path | None) -> Tensor:
    """Masks (Q, H, W), bool or float32, of what `set_masks` takes; it raises the same."""
    array = np.asarray(masks)
    # torch knows few operations on unsigned integers of 16 bits.
    given = torch.as_tensor(array.astype(np.int64) if array.dtype.kind in "iu" else array)
    if given.ndim == 2 and given.dtype == torch.int64:
        given = masks_of_labels(given)
    if given.ndim != 3 or not (given.is_floating_point() or given.dtype == torch.bool):
        raise InputError(
            f"masks of shape {tuple(given.shape)} and kind {given.dtype}",
            where=where,
            expected="(Q, H, W) bool or float, or a label map (H, W) of integers",
        )
    if given.is_floating_point() and not bool(((given >= 0) & (given <= 1)).all()):
        raise InputError("masks beyond 0 and 1", where=where, expected="from 0 to 1")
    return given if given.dtype == torch.bool else given.float()


def masks_of_labels(labels: Tensor) -> Tensor:
    """Take a label map apart.

    Args:
        labels: (H, W) integers; 255, 65535 and what is below 0 stand for no label.

    Returns:
        (Q, H, W) bool, one mask a label that occurs, in ascending order.

    Example:
        >>> masks_of_labels(torch.tensor([[4, 4, 255], [0, 4, 0]])).int().tolist()
        [[[0, 0, 0], [1, 0, 1]], [[1, 1, 0], [0, 1, 0]]]
    """
    found = [value for value in labels.unique().tolist() if value >= 0 and value not in _NO_LABEL]
    return labels == torch.tensor(found, dtype=labels.dtype).view(-1, 1, 1)


def _read_masks(path: Path) -> np.ndarray:
    if not path.is_file():
        raise InputError("no such file of masks", where=path, fix="check the path")
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return arrays["masks"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(
                f"not readable as masks: {error}", where=path, expected="an array named masks"
            ) from error
    from ovseg.datasets.labels import decode_ids

    return decode_ids(path.read_bytes(), str(path))
