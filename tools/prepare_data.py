"""Check a benchmark's files and convert its label maps: the same as `ovseg prepare`.

python tools/prepare_data.py voc20 --root data
python tools/prepare_data.py coco_object --root data --check
"""

import sys

from ovseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
