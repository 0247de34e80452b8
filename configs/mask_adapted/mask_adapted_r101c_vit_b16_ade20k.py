# OVSeg on ADE20K, 150 classes; published: 24.8 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/mask_adapted_r101c_vit_b16.py",
    "../_base_/datasets/ade20k.py",
]
model = dict(vocabulary="ade20k_ovseg")
