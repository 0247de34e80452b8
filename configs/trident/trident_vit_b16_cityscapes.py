# Trident on Cityscapes, 19 classes; SAM sees the halves of a picture; published: 42.9 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/cityscapes.py",
]
model = dict(
    vocabulary="cityscapes",
    decode_head=dict(cos_fac=3.0, refine_neg_cos=False, sam_tiles=2),
    refiner=dict(coarse_thresh=0.1),
    test_cfg=dict(short_side=688),
)
