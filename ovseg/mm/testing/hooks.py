"""What happens around a test: words encoded once, progress, images of the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine import fileio
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ovseg.mm.metrics import image_name
from ovseg.segmentation import Segmentation
from ovseg.utils.progress import Progress

__all__ = ["OverlayHook", "TestProgressHook", "WordsOnceHook"]


@HOOKS.register_module()
class WordsOnceHook(Hook):
    """Lets one process encode the words; the others read its text bank from the disk cache."""

    def before_test(self, runner: Runner) -> None:
        """Encode on the main process, then elsewhere."""
        pipeline = getattr(runner.model, "pipeline", None)
        if pipeline is None:
            return
        if is_main_process():
            pipeline.text_embeddings(runner.model.vocabulary)
        barrier()
        pipeline.text_embeddings(runner.model.vocabulary)


@HOOKS.register_module()
class TestProgressHook(Hook):
    """Shows rate and remaining time on a terminal."""

    __test__ = False  # no test of pytest's

    def before_test(self, runner: Runner) -> None:
        """Show an empty bar."""
        self._bar = (
            Progress(len(runner.test_loop.dataloader.dataset)) if is_main_process() else None
        )
        self._done = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Count a batch, and those that the other processes do meanwhile."""
        if self._bar is not None:
            total = len(runner.test_loop.dataloader.dataset)
            self._done = min(self._done + len(outputs) * get_world_size(), total)
            self._bar.reach(self._done, total)

    def after_test(self, runner: Runner) -> None:
        """End the line of the bar."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)


@HOOKS.register_module()
class OverlayHook(Hook):
    """Writes each image under the colors of its predicted classes, with a legend.

    Args:
        folder: gets `NAME.overlay.png`.
        image_root: folder of the images: names are relative to it.
    """

    def __init__(self, folder: str, image_root: str | None = None) -> None:
        self.folder = folder
        self.image_root = image_root

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] = ()
    ) -> None:
        """Draw the images of a batch."""
        meta = runner.test_loop.dataloader.dataset.metainfo
        palette = tuple(tuple(color) for color in meta["palette"]) if "palette" in meta else None
        for sample in outputs:
            labels = sample.pred_sem_seg.data[0].cpu().numpy()
            found = Segmentation(
                labels, meta["classes"], image=_pixels(sample.img_path), palette=palette
            )
            found.save(self.folder, image_name(sample.img_path, self.image_root), ("overlay",))


def _pixels(path: str) -> np.ndarray:
    """RGB pixels of a file that mmengine can read."""
    data = np.frombuffer(fileio.get(path), np.uint8)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    pixels: Any = cv2.imdecode(data, flags)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
