# OVSeg on Pascal VOC, 20 classes; published: 94.5 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/mask_adapted_swin_b_vit_l14.py",
    "../_base_/datasets/voc20.py",
]
model = dict(vocabulary="voc20_ovseg", decode_head=dict(weight=0.45))
