"""Networks: CLIP, the reading of its last block, DINO, FOUND, SAM, MaskFormer.

Import what you need from the modules; this package imports nothing by itself.
"""
