# DeCLIP (EVA02-CLIP B/16) on Pascal Context, background and 59 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/declip_eva_b16.py",
    "../_base_/datasets/context60.py",
]
model = dict(
    vocabulary="context60",
    test_cfg=dict(threshold=0.15),
)
