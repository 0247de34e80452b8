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
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmseg.registry import LOOPS

from ovseg.mm.training.seeded import DrawSampler, seed_everything

__all__ = ["ResumableEpochLoop", "ResumableIterLoop"]


def _resumable(dataloader: Any, seed: int) -> Any:
    """Let a data loader's configuration draw by place; a loader that is built stays as it is."""
    if not isinstance(dataloader, Mapping):
        return dataloader
    loader = copy.deepcopy(dict(dataloader))
    loader["dataset"] = {"type": "SeededDataset", "dataset": loader["dataset"], "seed": seed}
    loader["sampler"] = {"type": "DrawSampler", "sampler": loader["sampler"]}
    return loader


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """mmengine's `IterBasedTrainLoop` with an exact resume.

    Args:
        runner: the Runner.
        dataloader: configuration of the data loader.
        **options: as for `IterBasedTrainLoop`: `max_iters`, `val_interval`, ...
    """

    def __init__(self, runner: Runner, dataloader: Any, **options: Any) -> None:
        super().__init__(runner, _resumable(dataloader, runner.seed), **options)

    def run(self) -> Any:
        """Train; a resumed run starts its data behind what was drawn before."""
        sampler = self.dataloader.sampler
        endless = isinstance(sampler, DrawSampler) and sampler.endless
        if self._iter and endless:
            sampler.taken = self._iter * self.dataloader.batch_size
            # The parent leaves out as many batches as it has done iterations.
            skipped = repeat(None, self._iter)
            self.dataloader_iterator = chain(skipped, iter(self.dataloader))
        return super().run()

    def run_iter(self, data_batch: Any) -> None:
        """Run one iteration, its random numbers from its number."""
        seed_everything(self.runner.seed, self._iter, get_rank())
        super().run_iter(data_batch)


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's `EpochBasedTrainLoop` with an exact resume at the end of an epoch.

    Args:
        runner: the Runner.
        dataloader: configuration of the data loader.
        **options: as for `EpochBasedTrainLoop`: `max_epochs`, `val_interval`, ...
    """

    def __init__(self, runner: Runner, dataloader: Any, **options: Any) -> None:
        super().__init__(runner, _resumable(dataloader, runner.seed), **options)

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Run one iteration, its random numbers from its number."""
        seed_everything(self.runner.seed, self._iter, get_rank())
        super().run_iter(idx, data_batch)
