# OVSeg on Pascal Context, 59 classes; published: 55.7 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/mask_adapted_swin_b_vit_l14.py",
    "../_base_/datasets/context59.py",
]
model = dict(vocabulary="context59_ovseg", decode_head=dict(weight=0.6))
