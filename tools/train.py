"""Train a segmentor: the same code and flags as `ovseg train`.

For example: python tools/train.py CONFIG --work-dir run --resume --amp
"""

from __future__ import annotations

import sys

from ovseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
