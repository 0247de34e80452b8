# Trident on ADE20K, 150 classes; published: 21.9 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/ade20k.py",
]
model = dict(
    vocabulary="ade20k",
    decode_head=dict(refine_neg_cos=False),
    refiner=dict(coarse_thresh=0.05),
    test_cfg=dict(short_side=576),
)
