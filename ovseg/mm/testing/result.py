"""The protocol card: every setting that moves a result, as plain data."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from mmengine.config import Config
from torch import nn

from ovseg import __version__
from ovseg.evaluation.report import class_figures, plain_json
from ovseg.mm.metrics import OpenVocabIoUMetric
from ovseg.mm.plain import to_dict
from ovseg.mm.testing.split import Split
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.utils.devices import versions
from ovseg.weights.read import hash_state

__all__ = ["HASH_DIGITS", "make_result"]

HASH_DIGITS = 12
"""First hex digits of a SHA-256 that a result shows."""


def make_result(
    config: Config,
    model: nn.Module,
    split: Split,
    metric: OpenVocabIoUMetric,
    device: str,
) -> dict[str, Any]:
    """Return the content of `result.json`.

    Args:
        config: the configuration as it was run.
        model: the model as it was run.
        split: which images were counted.
        metric: the metric, after `evaluate`.
        device: where it ran.
    """
    words = _vocabulary(model)
    protocol = _protocol(model, config)
    figures = metric.compute_metrics([])
    areas = metric.sums["areas"]
    result = {
        "name": split.display_name,
        "benchmark": split.title if split.complete else None,
        "dataset": split.name,
        "partial": not split.complete,
        "images": split.images,
        "expected_images": split.expected,
        "missing": split.missing,
        **figures,
        **class_figures(areas, split.classes),
        "config": config.filename,
        "protocol": {**protocol, "data": _data_rules(config, metric)},
        "vocabulary": None
        if words is None
        else {"name": words.source, "classes": len(words), "prompts": len(words.prompts)},
        "vocabulary_hash": None if words is None else words.sha256[:HASH_DIGITS],
        "weights_hash": str(protocol.get("weights_hash") or hash_state(model.state_dict()))[
            :HASH_DIGITS
        ],
        "device": device,
        "versions": {"ovseg": __version__, "python": platform.python_version(), **versions()},
    }
    if "boundary" in metric.sums:
        boundary = class_figures(metric.sums["boundary"], split.classes)
        result["per_class_boundary_iou"] = boundary["per_class_iou"]
    if "confusion" in metric.sums:
        result["confusion"] = np.asarray(metric.sums["confusion"])
    return plain_json(result)


def _vocabulary(model: nn.Module) -> Vocabulary | None:
    for part in (model, getattr(model, "decode_head", None)):
        words = getattr(part, "vocabulary", None)
        if isinstance(words, Vocabulary):
            return words
    return None


def _protocol(model: nn.Module, config: Config) -> dict[str, Any]:
    """Settings of the pipeline; of a model without one, its part of the configuration."""
    pipeline = getattr(model, "pipeline", None)
    if pipeline is not None:
        return pipeline.protocol()
    clip = getattr(getattr(model, "backbone", None), "clip", None)
    return {"model": to_dict(config.model), "weights_hash": getattr(clip, "weights_hash", None)}


def _data_rules(config: Config, metric: OpenVocabIoUMetric) -> dict[str, Any]:
    settings = to_dict(config.test_dataloader.dataset)
    return {**settings, "ignore_index": metric.ignore_index}
