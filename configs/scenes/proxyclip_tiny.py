# ProxyCLIP: DINO inside windows, each with its own mean, whose scores are averaged.
_base_ = ["../trident/trident_tiny_scenes.py"]
model = dict(decode_head=dict(merge="scores", mean="window"))
