# Trident on Pascal Context, 459 classes; no published figure.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/context459.py",
]
model = dict(vocabulary="context459")
