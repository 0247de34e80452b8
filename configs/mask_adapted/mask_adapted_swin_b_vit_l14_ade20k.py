# OVSeg on ADE20K, 150 classes; published: 29.6 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/mask_adapted_swin_b_vit_l14.py",
    "../_base_/datasets/ade20k.py",
]
model = dict(vocabulary="ade20k_ovseg")
