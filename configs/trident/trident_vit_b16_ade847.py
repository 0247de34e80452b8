# Trident on ADE20K-full, 847 classes; no published figure.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/ade847.py",
]
model = dict(vocabulary="ade847")
