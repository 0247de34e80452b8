"""One exact sum of what several processes counted."""

import numpy as np
import pytest

from ovseg.errors import DatasetError
from ovseg.evaluation.distributed_counts import Tally, merge


def counts(number):
    return {
        "areas": np.full((3, 2), number, np.int64),
        "confusion": np.eye(2, dtype=np.int64) * number,
    }


def deal(size, processes, repeat=True):
    """Deal pictures as mmengine's DefaultSampler does: padded from the start, in turns."""
    order = list(range(size))
    if repeat:
        order += order[: -size % processes]
    tallies = [Tally() for _ in range(processes)]
    for position, number in enumerate(order):
        tallies[position % processes].add(f"{number}.png", counts(number + 1))
    return tallies


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [4, 5, 7, 11])
@pytest.mark.parametrize("repeat", [True, False])
def test_every_picture_counts_once_whatever_the_number_of_processes(size, processes, repeat):
    sums = merge(deal(size, processes, repeat), size)
    total = size * (size + 1) // 2
    assert sums["areas"].tolist() == [[total] * 2] * 3
    assert sums["confusion"].trace() == 2 * total


def test_a_lost_process_leaves_no_score():
    with pytest.raises(DatasetError, match="4 of 8 pictures.*a process was lost"):
        merge(deal(8, 2)[:1], 8)
    with pytest.raises(DatasetError, match="0 of 8 pictures"):
        merge([Tally()], 8)


def test_pictures_that_the_split_names_twice_are_refused():
    tally = Tally()
    for name in ("a", "b", "a"):
        tally.add(name, counts(1))
    with pytest.raises(DatasetError, match="a: the split has 3 items but only 2 different"):
        merge([tally], 3)


def test_repeats_in_the_middle_are_refused():
    tally = Tally()
    for name in ("a", "a", "b", "c", "d", "e", "f"):
        tally.add(name, counts(1))
    with pytest.raises(DatasetError, match="1 pictures were counted more than once"):
        merge([tally], 6)


def test_memory_does_not_grow_with_the_pictures():
    tally = Tally()
    for number in range(50):
        tally.add(str(number), counts(1))
    assert len(tally.latest) < 10
    assert tally.sums["areas"][0, 0] == 50
