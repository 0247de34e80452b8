"""What a long run tells on stderr: a bar with rate and remaining time, failures, notices."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TextIO

__all__ = ["Progress"]


class Progress:
    """A progress bar that is there only when stderr is a terminal.

    Failures are printed in either case, the first few of them; all stand in the run's
    `errors.jsonl`.

    Args:
        total: number of items, or None when it is not known (then there is no remaining time).
        stream: where to write; by default stderr as it is at the time of the call.
        shown_failures: how many failures to print in full.
        unit: what is counted.
        rest: what to say in place of the failures that are not printed.
    """

    def __init__(
        self,
        total: int | None,
        stream: TextIO | None = None,
        shown_failures: int = 10,
        unit: str = "image",
        rest: str = "further failures are only written to errors.jsonl",
    ) -> None:
        from tqdm import tqdm

        self.failures = 0
        self._stream = sys.stderr if stream is None else stream
        self._shown = shown_failures
        self._rest = rest
        self._bar = tqdm(
            total=total,
            file=self._stream,
            unit=f" {unit}",
            dynamic_ncols=True,
            disable=not self._stream.isatty(),
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def step(self) -> None:
        """Count one item as dealt with."""
        self._bar.update()

    def reach(self, done: int, total: int) -> None:
        """Show that so many of so many are dealt with; the shape that libraries call back."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def fail(self, message: str) -> None:
        """Count one item as failed and say why."""
        self.failures += 1
        self._bar.set_postfix(failed=self.failures, refresh=False)
        if self.failures <= self._shown:
            self.say(f"failed: {message}")
        elif self.failures == self._shown + 1:
            self.say(self._rest)
        self._bar.update()

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._bar.clear()
        print(message, file=self._stream)
        self._bar.refresh()
