"""Measure a segmentor: the same code and flags as `ovseg test`.

For example: python tools/test.py CONFIG [CHECKPOINT] --work-dir run --show-dir images
"""

from __future__ import annotations

import sys

from ovseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["test", *sys.argv[1:]]))
