# Trident on Pascal Context, background and 59 classes; published: 38.6 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/context60.py",
]
model = dict(
    vocabulary="context60",
    refiner=dict(coarse_thresh=0.15),
    test_cfg=dict(short_side=576, threshold=0.15),
)
