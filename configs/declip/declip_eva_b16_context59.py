# DeCLIP (EVA02-CLIP B/16) on Pascal Context, 59 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/declip_eva_b16.py",
    "../_base_/datasets/context59.py",
]
model = dict(vocabulary="context59")
