"""Time and peak memory of one piece of work, if wanted in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["measure", "measure_apart"]

Work = Callable[[], Any]
Case = Callable[..., Work]


def measure(case: Case, options: Mapping[str, Any], repeats: int = 1) -> dict[str, float]:
    """Measure a piece of work.

    Args:
        case: prepares the work, unmeasured, and returns it.
        options: arguments of the case.
        repeats: how often it is done.

    Returns:
        `seconds` (the shortest), and `peak_mb`: how far the peak of the process's memory rose
        above what it held before. The figure is exact only in a process of its own.
    """
    work = case(**options)
    times = []
    before = _reset_peak()
    for _ in range(max(repeats, 1)):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return {"seconds": min(times), "peak_mb": max(_peak() - before, 0) / 2**20}


def measure_apart(name: str, options: Mapping[str, Any], repeats: int = 1) -> dict[str, Any]:
    """Measure a case of `benchmarks.cases` in a new process.

    Returns:
        As `measure`; `failed` with the reason where the process did not finish.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.one_case", name, json.dumps(options), str(repeats)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"failed": lines[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def _reset_peak() -> int:
    """Set the kernel's mark of the peak back to now where that can be done; return it."""
    marks = Path("/proc/self/clear_refs")
    if marks.exists():
        marks.write_text("5")
    return _peak()


def _peak() -> int:
    """Peak of resident memory in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
