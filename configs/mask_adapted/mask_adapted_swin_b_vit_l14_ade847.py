# OVSeg on ADE20K, 847 classes; published: 9.0 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/mask_adapted_swin_b_vit_l14.py",
    "../_base_/datasets/ade847.py",
]
model = dict(vocabulary="ade847_ovseg")
