"""Write a checkpoint's weights as safetensors: the same as `ovseg convert-weights`.

python tools/convert_weights.py EVA02_CLIP_B_psz16_s8B.pt eva02_b16.safetensors --open-clip
"""

import sys

from ovseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert-weights", *sys.argv[1:]]))
