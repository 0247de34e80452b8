# DeCLIP (EVA02-CLIP B/16) on ADE20K, 150 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/declip_eva_b16.py",
    "../_base_/datasets/ade20k.py",
]
model = dict(vocabulary="ade20k")
