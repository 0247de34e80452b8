# Trident on the bundled tiny towers.
_base_ = ["../trident/trident_tiny_scenes.py"]
