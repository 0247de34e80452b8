# Trident on Pascal Context, 59 classes; published: 42.2 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/context59.py",
]
model = dict(
    vocabulary="context59",
    refiner=dict(coarse_thresh=0.15),
    test_cfg=dict(short_side=576),
)
