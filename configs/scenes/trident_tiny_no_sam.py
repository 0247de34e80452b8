# Trident without SAM: DINO inside windows, whose features are spliced.
_base_ = ["../trident/trident_tiny_scenes.py"]
model = dict(decode_head=dict(sam=None))
