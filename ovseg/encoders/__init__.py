"""Towers: CLIP through open_clip, read-outs of the last block, weights, the text bank.

Import what you need from the modules; this package imports nothing by itself.
"""
