"""`ovseg test`: from a configuration and flags to a result with its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from ovseg.datasets.pairs import check_class_order
from ovseg.errors import CheckpointError, ConfigError
from ovseg.evaluation.report import write_result
from ovseg.mm.checkpoints import load_from_local
from ovseg.mm.launch import choose_runner_device, plain_errors, process_group, read_config
from ovseg.mm.metrics import OpenVocabIoUMetric
from ovseg.mm.testing.result import make_result
from ovseg.mm.testing.split import Split, open_split
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.segmenter import head_class, route_weights
from ovseg.utils.devices import choose_precision
from ovseg.zoo.refiners import refiner_spec

__all__ = ["evaluate"]

_NEEDED = ("model", "test_dataloader", "test_cfg")
_OURS = "OpenVocabSegmentor"


class _TestRunner(Runner):
    """A Runner that leaves the model as it is: without gradients there is nothing to exchange."""

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        return model.to(get_device())


def evaluate(
    path: str | Path,
    checkpoint: str | None = None,
    *,
    work_dir: str | Path | None = None,
    options: Sequence[str] = (),
    launcher: str = "none",
    local_rank: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    refine: str | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    out: str | None = None,
    show_dir: str | None = None,
    boundary: bool = False,
) -> tuple[Path, dict[str, Any]] | None:
    """Measure a model on a data set.

    Args:
        path: an mmseg configuration.
        checkpoint: weights of a Runner or of CLIP; None or "none" takes what the config names.
        work_dir: for `result.json`, `result.txt` and the log; by default `work_dirs/NAME`.
        options: changes of the config, as `key.key=value`.
        launcher: what started the processes: "none", "pytorch", "slurm" or "mpi".
        local_rank: what an older launcher passes.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        precision: "auto", "fp32", "bf16" or "fp16".
        refine: a refiner of `ovseg.zoo.refiners.REFINERS`; None leaves it to the config.
        limit: only so many images; the result is then called partial.
        allow_missing: leave out images without label maps; likewise.
        out: folder for the predicted label maps.
        show_dir: folder for images of the results.
        boundary: also give the boundary IoU.

    Returns:
        The path of `result.json` and its content; None on all processes but the first.

    Raises:
        ConfigError: a wrong setting, or a vocabulary that is not the data set's.
        CheckpointError: weights that cannot be used.
        DatasetError: files that are missing or wrong, or no score.
    """
    device = choose_runner_device(device)
    config = read_config(path, options)
    _require_test_part(config)
    config.load_from = _route_checkpoint(config, checkpoint)
    config.work_dir = str(work_dir or config.get("work_dir") or Path("work_dirs") / Path(path).stem)
    if not any(option.startswith("log_level=") for option in options):
        config.log_level = "ERROR"
    _change_model(config, device, precision, refine)
    with process_group(config, launcher, local_rank), plain_errors():
        init_default_scope(config.get("default_scope") or "mmseg")
        split = open_split(config.test_dataloader.dataset, limit=limit, allow_missing=allow_missing)
        _check_vocabulary(config, split)
        _add_metric(config, boundary=boundary, out=out, image_root=split.image_root)
        _add_hooks(config, show_dir, split.image_root)
        runner = _TestRunner.from_cfg(config)
        runner.test()
        if not is_main_process():
            return None
        metrics = runner.test_loop.evaluator.metrics
        metric = next(each for each in metrics if isinstance(each, OpenVocabIoUMetric))
        result = make_result(config, runner.model, split, metric, device)
        return write_result(config.work_dir, result), result


def _route_checkpoint(config: Config, checkpoint: str | None) -> str | None:
    """Choose what is loaded over the built model, if anything.

    A model whose weights have to be put by hand cannot be built without them: a file that is given
    for it takes their place at once. Any other file is loaded over a model that is built for it.
    """
    head = head_class(config.model)
    if checkpoint is None or not head.needs_a_file(config.model):
        checkpoint = checkpoint or config.get("load_from")
        if checkpoint is not None and Path(checkpoint).is_file():
            head.fit_to_weights(
                config.model, lambda: load_from_local(checkpoint)["state_dict"], checkpoint
            )
        return checkpoint
    if checkpoint == "none":
        return checkpoint
    if not Path(checkpoint).is_file():
        raise CheckpointError("no such checkpoint", where=checkpoint, fix="check the path")
    route_weights(config.model, Path(checkpoint))
    return None


def _require_test_part(config: Config) -> None:
    missing = [key for key in _NEEDED if not config.get(key)]
    if missing:
        raise ConfigError(
            f"nothing to test: it has no {', '.join(missing)}",
            where=config.filename,
            fix="choose a configuration such as configs/maskclip/maskclip_tiny_scenes.py",
        )


def _change_model(config: Config, device: str, precision: str, refine: str | None) -> None:
    ours = config.model.get("type", "").rsplit(".", 1)[-1] == _OURS
    if not ours and (refine is not None or precision != "auto"):
        flag = "--refine" if refine is not None else "--precision"
        raise ConfigError(
            f"a {config.model.get('type')} has no such setting", where=flag, expected=_OURS
        )
    if refine is not None:
        config.model.refiner = refiner_spec(refine, config.model)
    if ours and (precision != "auto" or "precision" not in config.model):
        config.model.precision = choose_precision(precision, device)


def _check_vocabulary(config: Config, split: Split) -> None:
    """Refuse words in another order than the data set's ids, before the model is loaded."""
    head = config.model.get("decode_head")
    head = head if isinstance(head, dict) else {}
    words = config.model.get("vocabulary") or head.get("vocabulary")
    if words:
        found = Vocabulary.parse(words).classes
        if head.get("learn_background"):
            found = (*split.classes[:1], *found)
        check_class_order(split.classes, found, where=f"vocabulary {words!r}"[:80])


def _add_metric(config: Config, *, boundary: bool, out: str | None, image_root: str | None) -> None:
    """Let our metric take the place of mmseg's, which reports the same and less."""
    given = config.get("test_evaluator") or []
    metrics = [dict(each) for each in (given if isinstance(given, (list, tuple)) else [given])]
    kinds = [str(each.get("type")).rsplit(".", 1)[-1] for each in metrics]
    ours: dict[str, Any] = {"type": "OpenVocabIoUMetric"}
    for each, kind in zip(metrics, kinds, strict=True):
        if kind == "OpenVocabIoUMetric":
            ours = each
        elif kind == "IoUMetric" and "ignore_index" in each:
            ours["ignore_index"] = each["ignore_index"]
    if boundary:
        ours["boundary"] = True
    if out is not None:
        ours.update(output_dir=out, image_root=image_root)
    pairs = zip(metrics, kinds, strict=True)
    others = [each for each, kind in pairs if kind not in ("IoUMetric", "OpenVocabIoUMetric")]
    config.test_evaluator = [ours, *others]


def _add_hooks(config: Config, show_dir: str | None, image_root: str | None) -> None:
    hooks: list[dict[str, Any]] = [{"type": "WordsOnceHook"}, {"type": "TestProgressHook"}]
    if show_dir is not None:
        hooks.append({"type": "OverlayHook", "folder": show_dir, "image_root": image_root})
    config.custom_hooks = [*(config.get("custom_hooks") or ()), *hooks]
