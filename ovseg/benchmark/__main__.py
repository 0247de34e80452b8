"""Measure one case in this process: `python -m ovseg.benchmark NAME OPTIONS REPEATS`."""

import json
import sys

from ovseg.benchmark.cases import CASES
from ovseg.benchmark.measure import measure

if __name__ == "__main__":
    name, options, repeats = sys.argv[1:]
    print(json.dumps(measure(CASES[name], json.loads(options), int(repeats))))
