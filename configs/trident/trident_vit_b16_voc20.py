# Trident on Pascal VOC 2012, 20 objects; published: 84.5 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/voc20.py",
]
model = dict(
    vocabulary="voc20",
    decode_head=dict(cos_fac=0.0),
    test_cfg=dict(stride=112, short_side=336),
)
