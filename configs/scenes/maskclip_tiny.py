# MaskCLIP on the synthetic world; needs no files: ovseg test configs/scenes/maskclip_tiny.py
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
