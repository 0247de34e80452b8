"""The training loops of mmengine with a resume that changes nothing.

The item drawn at a place is augmented from (seed, place), an iteration of the model starts from
(seed, iteration, process), and a resumed loop starts its data in the middle in place of loading
and dropping what was seen before. So a run that was killed and resumed has the losses of one that
was not.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any

from mmengine.dist import get_rank
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmseg.registry import LOOPS

from ovseg.mm.training.seeded import PositionedSampler, seed_everything

__all__ = ["ResumableEpochLoop", "ResumableIterLoop"]


class _Resumable(BaseLoop):
    """What both loops add to mmengine's: items drawn by place, seeds by iteration.

    A data loader that is built already stays as it is.
    """

    def __init__(self, runner: Runner, dataloader: Any, **options: Any) -> None:
        if isinstance(dataloader, Mapping):
            loader = copy.deepcopy(dict(dataloader))
            data = {"type": "SeededDataset", "dataset": loader["dataset"], "seed": runner.seed}
            sampler = {"type": "PositionedSampler", "sampler": loader["sampler"]}
            dataloader = {**loader, "dataset": data, "sampler": sampler}
        super().__init__(runner, dataloader, **options)

    def run_iter(self, *batch: Any) -> None:
        """Run one iteration, its random numbers from its number."""
        seed_everything(self.runner.seed, self._iter, get_rank())
        super().run_iter(*batch)


@LOOPS.register_module()
class ResumableEpochLoop(_Resumable, EpochBasedTrainLoop):
    """mmengine's `EpochBasedTrainLoop` with an exact resume at the end of an epoch."""


@LOOPS.register_module()
class ResumableIterLoop(_Resumable, IterBasedTrainLoop):
    """mmengine's `IterBasedTrainLoop` with an exact resume."""

    def run(self) -> Any:
        """Train; a resumed run starts its data behind what was drawn before."""
        sampler = self.dataloader.sampler
        if self._iter and isinstance(sampler, PositionedSampler) and sampler.endless:
            sampler.skip = self._iter * self.dataloader.batch_size
            # The parent leaves out as many batches as it has done iterations.
            skipped = repeat(None, self._iter)
            self.dataloader_iterator = chain(skipped, iter(self.dataloader))
        return super().run()
