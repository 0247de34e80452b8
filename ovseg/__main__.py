"""Lets `python -m ovseg` stand for the command `ovseg`."""

import sys

from ovseg.cli import main

if __name__ == "__main__":
    sys.exit(main())
