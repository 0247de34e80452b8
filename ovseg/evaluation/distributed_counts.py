"""What each process of an evaluation counts, and one exact sum of it.

A distributed sampler repeats pictures so that all processes get equally many. Which ones that were
shows only when all processes tell what they have seen, so each keeps the counts of its latest
pictures apart, and those that turn out to be repeats are taken off again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ovseg.errors import DatasetError

__all__ = ["Tally", "merge"]

_LATEST = 4  # samplers pad the end; mmengine's repeats at most one picture a process


@dataclass
class Tally:
    """Sums of integer arrays over the pictures of one process.

    Attributes:
        sums: named arrays, for example `areas` of `area_counts`.
        pictures: names of the pictures, in their order.
        latest: the last few pictures with their own arrays.
    """

    sums: dict[str, np.ndarray] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    latest: deque[tuple[str, Mapping[str, np.ndarray]]] = field(
        default_factory=lambda: deque(maxlen=_LATEST)
    )

    def add(self, picture: str, counts: Mapping[str, np.ndarray]) -> None:
        """Add the arrays of one picture."""
        for name, array in counts.items():
            self.sums[name] = self.sums[name] + array if name in self.sums else array
        self.pictures.append(picture)
        self.latest.append((picture, counts))


def merge(tallies: Sequence[Tally], size: int) -> dict[str, np.ndarray]:
    """Sum up what all processes counted, every picture of the split once.

    Args:
        tallies: one a process.
        size: number of pictures of the split.

    Returns:
        The named arrays.

    Raises:
        DatasetError: pictures are missing, as when a process was lost; or the split lists some
            twice; or more was repeated than is known how to take off.

    Example:
        >>> first, second = Tally(), Tally()
        >>> first.add("a", {"pixels": np.array([1])}), first.add("c", {"pixels": np.array([4])})
        (None, None)
        >>> second.add("b", {"pixels": np.array([2])}), second.add("a", {"pixels": np.array([1])})
        (None, None)
        >>> merge([first, second], 3)
        {'pixels': array([7])}
    """
    seen = Counter(name for tally in tallies for name in tally.pictures)
    total = sum(seen.values())
    if total < size or not total:
        raise DatasetError(
            f"{total} of {size} pictures were counted, so there is no score",
            expected="every picture of the split",
            fix="a process was lost: look for its message and start again"
            if total
            else "check the data set",
        )
    if len(seen) != size:
        twice = [name for name, count in seen.items() if count > 1]
        raise DatasetError(
            f"the split has {size} items but only {len(seen)} different pictures",
            where=", ".join(twice[:5]),
            expected="every picture once",
            fix="remove what the list of the split names twice",
        )
    sums: dict[str, np.ndarray] = {}
    for tally in tallies:
        for name, array in tally.sums.items():
            sums[name] = sums[name] + array if name in sums else array
    for counts in _repeats(tallies, seen - Counter(dict.fromkeys(seen, 1))):
        for name, array in counts.items():
            sums[name] = sums[name] - array
    return sums


def _repeats(tallies: Sequence[Tally], excess: Counter[str]) -> list[Mapping[str, np.ndarray]]:
    """Counts of the pictures that were seen once too often, from the ends of the processes."""
    found = []
    for tally in tallies:
        for picture, counts in reversed(tally.latest):
            if excess[picture] > 0:
                excess[picture] -= 1
                found.append(counts)
    left = +excess
    if left:
        raise DatasetError(
            f"{len(left)} pictures were counted more than once, so there is no score",
            where=", ".join(list(left)[:5]),
            expected="a sampler that repeats pictures at the end only, if at all",
            fix="set test_dataloader.sampler to dict(type='DefaultSampler', shuffle=False)",
        )
    return found
