# OVSeg on Pascal Context, 459 classes; published: 12.4 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/mask_adapted_swin_b_vit_l14.py",
    "../_base_/datasets/context459.py",
]
model = dict(vocabulary="context459_ovseg", decode_head=dict(weight=0.6))
