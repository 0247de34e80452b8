import pytest
import torch

from ovseg.errors import RuntimeLimitError
from ovseg.inference.memory import within_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    ],
)
def test_work_is_tried_in_smaller_pieces(error):
    def attempt(size):
        if size > 1:
            raise error
        return size

    with pytest.warns(UserWarning, match="smaller pieces"):
        assert within_memory(attempt, [4, 2, 1], "here", 1) == 1


@pytest.mark.filterwarnings("ignore:memory is short")
def test_when_nothing_fits_the_need_is_said():
    def attempt(_):
        raise MemoryError

    with pytest.raises(RuntimeLimitError, match="3 x 4 pixels.* 5 MB"):
        within_memory(attempt, [2, 1], "3 x 4 pixels", 5 << 20)


def test_other_errors_pass():
    def attempt(_):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        within_memory(attempt, [2, 1], "here", 1)
