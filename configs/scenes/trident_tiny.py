# Trident on the bundled tiny towers: DINO inside windows, whose features are spliced.
_base_ = ["../trident/trident_tiny_scenes.py"]
