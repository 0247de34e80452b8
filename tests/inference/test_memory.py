import warnings

import pytest
import torch

from ovseg.inference.memory import recover_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    ],
)
def test_short_memory_is_no_end(error):
    with pytest.warns(UserWarning, match="smaller pieces"):
        recover_memory(error, last=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recover_memory(error, last=True)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes differ"):
        recover_memory(RuntimeError("shapes differ"), last=False)
