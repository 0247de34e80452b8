"""Measure one case in this process: `python -m benchmarks.one_case NAME OPTIONS REPEATS`."""

import json
import sys

from benchmarks.cases import CASES
from benchmarks.measure import measure

if __name__ == "__main__":
    name, options, repeats = sys.argv[1:]
    print(json.dumps(measure(CASES[name], json.loads(options), int(repeats))))
