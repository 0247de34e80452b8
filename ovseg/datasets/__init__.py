"""The benchmarks as files on disk: what they are, whether they are right, how they become so.

Plain Python, numpy and Pillow; the data sets of mmseg that read these files are in
`ovseg.mm.data.benchmarks`.
"""

from __future__ import annotations

from ovseg.datasets.table import BENCHMARKS, Benchmark, find_benchmark

__all__ = ["BENCHMARKS", "Benchmark", "find_benchmark"]
