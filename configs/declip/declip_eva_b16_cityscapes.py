# DeCLIP (EVA02-CLIP B/16) on Cityscapes, 19 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/declip_eva_b16.py",
    "../_base_/datasets/cityscapes.py",
]
model = dict(
    vocabulary="cityscapes",
    test_cfg=dict(short_side=560),
)
