# Trident on Pascal VOC 2012, background and 20 objects; published: 67.1 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/voc21.py",
]
model = dict(
    vocabulary="voc21",
    test_cfg=dict(threshold=0.2),
)
