"""Mixed precision on the device that is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

from ovseg.errors import ConfigError

__all__ = ["AMP_TYPES", "CpuAmpOptimWrapper", "use_amp"]

AMP_TYPES = ("auto", "bf16", "fp16")


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """mmengine's `OptimWrapper` under bfloat16 autocast on the CPU.

    bfloat16 has the range of float32, so there is no loss to scale.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute the losses of an iteration in mixed precision."""
        with super().optim_context(model), torch.autocast("cpu", dtype=torch.bfloat16):
            yield


def use_amp(wrapper: ConfigDict, wish: str, device: str) -> None:
    """Turn an `OptimWrapper` in a config into one with mixed precision, in place.

    Args:
        wrapper: the config's `optim_wrapper`.
        wish: "bf16", "fp16" or "auto": bf16 where the device has it.
        device: for example "cpu" or "cuda:0".

    Raises:
        ConfigError: the config has another wrapper, or the device cannot do it.

    Example:
        >>> wrapper = ConfigDict(type="OptimWrapper")
        >>> use_amp(wrapper, "auto", "cpu")
        >>> wrapper.type
        'CpuAmpOptimWrapper'
    """
    kind = wrapper.get("type", "OptimWrapper")
    if kind in ("AmpOptimWrapper", "CpuAmpOptimWrapper"):
        return
    if kind != "OptimWrapper":
        raise ConfigError(
            f"--amp with an optimizer wrapper of type {kind}",
            where="optim_wrapper.type",
            expected="OptimWrapper",
        )
    if device == "cpu":
        if wish == "fp16":
            raise ConfigError("no fp16 training on the CPU", where="--amp", fix="--amp bf16")
        wrapper.update(type="CpuAmpOptimWrapper")
        return
    bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if wish == "bf16" and not bf16:
        raise ConfigError("this GPU has no bf16", where="--amp", fix="--amp fp16")
    if bf16 and wish != "fp16":
        wrapper.update(type="AmpOptimWrapper", dtype="bfloat16")
    else:
        wrapper.update(type="AmpOptimWrapper", dtype="float16", loss_scale="dynamic")
